"""Each image of the table of hostile ones is refused by what we read in it, in words of its own."""

import bz2
import gzip
import io
import lzma
import re
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
import zstandard

from launcher.host.errors import ImageRefused
from launcher.image.format import content, layers, vdi, vhdx, vmdk
from launcher.image.format.content import Kind
from launcher.image.format.qcow2 import header as spec
from launcher.image.format.qcow2 import policy, tables
from tests.unit.image.format.foreign_headers import MIB
from tests.unit.image.format.hostile.archives import summed, tar
from tests.unit.image.format.hostile.table import TRAPS
from tests.unit.image.format.hostile.trap import MOST, Trap
from tests.unit.image.format.qcow2.images import image

JUDGES = {Kind.VMDK: vmdk.judge, Kind.VHDX: vhdx.judge, Kind.VDI: vdi.judge}


def in_chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 1 << 20):
        yield data[start : start + (1 << 20)]


def take(image: bytes, most: int = MOST) -> int:
    """All that is done with an image before qemu-img sees it; returns the disk's bytes."""
    disk = layers.peel(in_chunks(image), "IMG_SOURCE=/x", most)
    whole = b"".join(disk.chunks)
    if disk.kind is Kind.QCOW2:
        found = spec.readable(whole, "IMG_SOURCE=/x")
        policy.judge(found, most, len(whole))
        tables.judge(io.BytesIO(whole), found, len(whole))
        return found.virtual_size
    if disk.kind is Kind.RAW:
        content.check_raw(len(whole), whole[-512:], "IMG_SOURCE=/x")
        return len(whole)
    return JUDGES[disk.kind](io.BytesIO(whole), len(whole), most)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_traps(trap: Trap) -> None:
    with pytest.raises(ImageRefused) as caught:
        take(trap.image)
    assert re.search(trap.words, str(caught.value)), caught.value


def test_each_has_a_name_of_its_own() -> None:
    assert len({trap.name for trap in TRAPS}) == len(TRAPS)


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, lzma.compress, bz2.compress, zstandard.compress],
    ids=["gzip", "xz", "bzip2", "zstd"],
)
def test_a_bomb_of_zeros(pack: Callable[[bytes], bytes]) -> None:
    """It would cost no space, and end nowhere."""
    bomb = pack(image() + bytes(32 * MIB))
    with pytest.raises(ImageRefused, match=r"holds more than 16\.0 MiB, and IMG_MAX_SIZE"):
        take(bomb, 16 * MIB)
    assert take(pack(image() + bytes(8 * MIB)), 16 * MIB) == MIB


def test_a_bomb_beside_the_disk() -> None:
    """What is skipped counts as well."""
    zeros = [(f"{number}", bytes(8 * MIB)) for number in range(3)]
    bomb = gzip.compress(tar(("disk", image()), *zeros))
    with pytest.raises(ImageRefused, match=r"holds more than 16\.0 MiB"):
        take(bomb, 16 * MIB)


def test_an_archive_takes_little_memory() -> None:
    """Whatever its headers say of every file: pax has records of any number, and each member would
    keep all of those that were before it."""
    record = b"".join(b"%d k%05d=%s\n" % (20, number, b"v" * 9) for number in range(20_000))
    global_header = bytearray(tar(("x", record)))
    global_header[156:157] = tarfile.XGLTYPE
    members = [tar((f"{n}", b"text"))[:1024] for n in range(190)]
    mtime = bytearray(tar(("x", b"13 mtime=1.5\n")))
    mtime[156:157] = tarfile.XHDTYPE
    body = summed(global_header)[: 512 - (-len(record) // 512) * 512]
    body += b"".join(summed(mtime)[:1024] + member for member in members)
    body += tar(("disk", image()))
    tracemalloc.start()
    try:
        assert take(body) == MIB
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 64 * MIB


def test_a_packing_that_nothing_comes_out_of() -> None:
    """zstd has frames that are to be skipped, each of up to 4 GiB."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b"\x50\x2a\x4d\x18" + (0xFFFFFFFF).to_bytes(4, "little")
        for _ in range(64):
            taken += 1
            yield bytes(1 << 20)

    with pytest.raises(ImageRefused, match=r"holds more than 4\.0 MiB, and IMG_MAX_SIZE"):
        layers.peel(endless(), "IMG_SOURCE=/x", 4 << 20)
    assert taken == 4
