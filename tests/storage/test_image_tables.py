"""What we find in the tables of qcow2 images, against what qemu-img makes and what it finds."""

import random
import re
import struct
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from launcher.host.errors import ImageRefused
from launcher.image.format import qemu_img as image_maker
from launcher.image.format.qcow2 import header, policy, tables
from launcher.image.format.qcow2.clusters import OFFSET
from launcher.image.format.qcow2.header import Header
from tests.storage.conftest import MIB, qemu_img

MOST = 4 << 40
ROUNDS = 400


def judge(path: Path) -> None:
    size = path.stat().st_size
    found = header.read(path)
    policy.judge(found, MOST, size)
    with path.open("rb") as file:
        tables.judge(file, found, size)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk: parts that can be packed, parts that cannot, holes, half a cluster at last."""
    draw = random.Random("disk")
    parts = (
        lambda: draw.randbytes(1 << 16),
        lambda: bytes(1 << 16),
        lambda: b"%07d\n" % draw.getrandbits(16) * (1 << 13),
    )
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    path.write_bytes(b"".join(draw.choice(parts)() for _ in range(64)) + b"end\n" * 384)
    return path


def made(disk: Path, path: Path, options: str, *flags: str) -> Path:
    """What qemu-img makes of `disk` at `path`."""
    qemu_img("convert", "-f", "raw", "-O", "qcow2", *flags, "-o", options, disk, path)
    return path


def lived_in(path: Path) -> None:
    """Used as a disk: written to, with snapshots and bitmaps of the time between, and grown."""
    found = header.read(path)
    write(path, "write -P 1 1M 700k", "discard 2M 256k", "write -z 3M 100k")
    # Counts of one or two bits have no room for a snapshot, nor those of packed clusters.
    if found.refcount_order > 2:
        qemu_img("snapshot", "-c", "one", path)
        write(path, "write -P 2 1200k 300k", "write -P 3 0 512")
        qemu_img("snapshot", "-c", "two", path)
    if found.version == 3:
        qemu_img("bitmap", "--add", "-f", "qcow2", path, "bitmap")
        qemu_img("bitmap", "--add", "-g", "1M", "-f", "qcow2", path, "coarse")
        write(path, "write -P 4 500k 1M")
        qemu_img("resize", "-q", "-f", "qcow2", path, f"{32 * MIB}")


def write(path: Path, *commands: str) -> None:
    options = chain.from_iterable(("-c", command) for command in commands)
    subprocess.run(["qemu-io", "-f", "qcow2", *options, path], check=True, capture_output=True)


KINDS = (
    "cluster_size=512",
    "cluster_size=4k",
    "cluster_size=64k",
    "cluster_size=2M",
    "compat=0.10",
    "extended_l2=on",
    "extended_l2=on,cluster_size=16k",
    "refcount_bits=1",
    "refcount_bits=2",
    "refcount_bits=32",
    "refcount_bits=64,cluster_size=4k",
    "lazy_refcounts=on",
    "compression_type=zstd",
)
# None of these can be packed.
RESERVED = ("preallocation=metadata", "preallocation=falloc", "preallocation=full,cluster_size=512")


@pytest.mark.parametrize(
    ("options", "flags"),
    [*((each, ()) for each in (*KINDS, *RESERVED)), *((each, ("-c",)) for each in KINDS)],
)
def test_images_of_every_kind(
    disk: Path, tmp_path: Path, options: str, flags: tuple[str, ...]
) -> None:
    path = made(disk, tmp_path / "disk.qcow2", options, *flags)
    judge(path)
    lived_in(path)
    judge(path)
    assert not checked(path)


def checked(path: Path) -> bytes:
    """What qemu-img says that is wrong with the image at `path`; empty if it may be used."""
    argv = ["qemu-img", "check", "-f", "qcow2", str(path)]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=60)
    return done.stdout + done.stderr if done.returncode not in (0, 3) else b""


class Sample(NamedTuple):
    """An image, and where in it the words of each kind of table are."""

    content: bytes
    words: tuple[list[int], ...]


def sample(path: Path) -> Sample:
    content, found = path.read_bytes(), header.read(path)
    return Sample(content, tuple(list(each) for each in _words(content, found) if each))


def _words(content: bytes, found: Header) -> Iterator[list[int]]:
    def table(start: int, count: int) -> list[int]:
        return list(range(start, start + 8 * count, 8))

    def at(place: int) -> int:
        return int.from_bytes(content[place : place + 8]) & OFFSET

    words = found.cluster_size // 8
    l1, counts = table(found.l1_offset, found.l1_entries), table(found.refcount_table_offset, 4)
    yield l1
    yield counts
    for tables_of in (l1, counts):
        below = chain.from_iterable(table(at(each), words) for each in tables_of if at(each))
        yield [place for place in below if at(place)]
    if found.snapshots:
        yield table(found.snapshots_offset, 7)
    if bitmaps := found.extension(header.BITMAPS):
        _, _, length, start = struct.unpack(">IIQQ", bitmaps)
        yield table(start, length // 8)
        yield table(at(start), 1)


def spoiled(image: Sample, draw: random.Random) -> bytes:
    """The image with a word or two of its tables changed, or cut."""
    content = bytearray(image.content)
    for _ in range(draw.choice((1, 1, 2))):
        place, other = draw.choice(draw.choice(image.words)), draw.choice(draw.choice(image.words))
        old = int.from_bytes(content[place : place + 8])
        new = draw.choice(
            (
                old ^ 1 << draw.randrange(64),
                old + (1 << draw.randrange(30)),
                old & ~0xFFFF | draw.randrange(4),
                int.from_bytes(content[other : other + 8]),
                other & ~511,
                len(content) & ~511,
                draw.getrandbits(64),
                0,
            )
        )
        content[place : place + 8] = (new % (1 << 64)).to_bytes(8)
    return bytes(content[: draw.randrange(len(content))] if draw.random() < 0.1 else content)


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ("cluster_size=4k", ()),
        ("cluster_size=4k", ("-c",)),
        ("cluster_size=512,refcount_bits=8", ()),
        ("cluster_size=64k,extended_l2=on,refcount_bits=64", ()),
    ],
)
def test_nothing_is_left_for_qemu_img_to_find(
    disk: Path, tmp_path: Path, options: str, flags: tuple[str, ...]
) -> None:
    path = made(disk, tmp_path / "disk.qcow2", options, *flags)
    lived_in(path)
    image, draw = sample(path), random.Random(options)
    accepted = 0
    for number in range(ROUNDS // 4):
        path.write_bytes(spoiled(image, draw))
        try:
            judge(path)
        except (ImageRefused, header.NotQcow2):
            continue
        accepted += 1
        found = checked(path)
        assert not found, f"round {number}: {found[:2000]!r}"
    assert 0 < accepted < ROUNDS // 8, "some words mean nothing, such as the counts of no cluster"


def test_a_file_that_is_longer_than_its_counts(disk: Path, tmp_path: Path) -> None:
    """As it is on a block device. Their table ends before the last clusters do."""
    path = made(disk, tmp_path / "disk.qcow2", "cluster_size=512,refcount_bits=64")
    with path.open("r+b") as file:
        file.truncate(100 * MIB)
    judge(path)
    assert not checked(path)


def test_a_large_raw_disk_becomes_what_can_be_looked_through(tmp_path: Path) -> None:
    raw, path = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    for size, cluster in ((2 << 40, 64 << 10), ((2 << 40) + 512, 2 * MIB)):
        with raw.open("wb") as file:
            file.truncate(size)
        image_maker.convert(raw, path, size, "IMG_SOURCE=/x")
        assert header.read(path).cluster_size == cluster
        judge(path)


def test_every_cut_is_noticed(disk: Path, tmp_path: Path) -> None:
    """qemu-img writes tables where they are needed, so that many are behind data."""
    path = made(disk, tmp_path / "disk.qcow2", "cluster_size=4k", "-c")
    draw = random.Random("cuts")
    for length in sorted(draw.sample(range(1, path.stat().st_size // 512), 100), reverse=True):
        with path.open("r+b") as file:
            file.truncate(length * 512)
        with pytest.raises(ImageRefused) as caught:
            judge(path)
        assert re.search(r"cut short", caught.value.message)
