"""Disks of other makers' formats and in archives: each becomes the base that the raw disk does."""

import os
import re
import struct
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from launcher.host import process
from launcher.host.access import READ, READ_WRITE, may
from launcher.host.account import Account
from launcher.host.errors import StorageError
from launcher.image import fetch
from launcher.image.base import Base
from launcher.image.format import foreign, patience, qemu_img
from tests.storage.conftest import MIB, Images, Volume
from tests.storage.conftest import qemu_img as run_qemu_img
from tests.storage.outcomes import PACK, disk, refusal, sha256
from tests.unit.image.format import foreign_headers
from tests.unit.image.format.foreign_headers import descriptor, vmdk
from tests.unit.image.format.hostile.archives import tar

QEMU = Account("qemu", 107, 108)

FORMATS = {
    "vmdk": ("vmdk", "subformat=monolithicSparse"),
    "vmdk of a stream": ("vmdk", "subformat=streamOptimized"),
    "vhdx": ("vhdx", "subformat=dynamic"),
    "vhdx, fixed": ("vhdx", "subformat=fixed"),
    "vdi": ("vdi", "static=off"),
    "vdi, static": ("vdi", "static=on"),
}


@pytest.fixture(scope="module")
def made(images: Images, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The disk in each format, as qemu-img writes it."""
    folder = tmp_path_factory.mktemp("formats")
    found = {}
    for name, (kind, options) in FORMATS.items():
        found[name] = folder / f"{name}.{kind}"
        run_qemu_img("convert", "-f", "raw", "-O", kind, "-o", options, images.raw, found[name])
    return found


@pytest.fixture
def reachable() -> Iterator[Volume]:
    """A shared volume that another user reaches, unlike what lies in pytest's own folder."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory(prefix="berth-tests-") as name:
        Path(name).chmod(0o755)
        yield Volume(Path(name))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_becomes_the_same_base(
    volume: Volume, images: Images, made: dict[str, Path], name: str
) -> None:
    base = volume.ensure(made[name])
    assert disk(base.path) == images.raw.read_bytes()
    assert base.digest == sha256(base.path) == volume.ensure(images.raw).digest
    assert base.virtual_size == 5 * MIB
    assert [each for each in volume.names() if each.endswith(".part")] == []


@pytest.mark.parametrize("kind", ["vmdk", "vhdx", "vdi"])
def test_the_images_that_tests_build_are_what_qemu_reads(
    volume: Volume, tmp_path: Path, kind: str
) -> None:
    """All traps are one of these with one thing changed."""
    path = tmp_path / "image"
    path.write_bytes(getattr(foreign_headers, kind)())
    assert disk(volume.ensure(path).path) == bytes(MIB)


@pytest.mark.parametrize(
    ("name", "packing"),
    [("qcow2", None), ("raw", None), ("vmdk", None), *(("qcow2", packing) for packing in PACK)],
)
def test_archives(
    volume: Volume,
    images: Images,
    made: dict[str, Path],
    tmp_path: Path,
    name: str,
    packing: str | None,
) -> None:
    """As an OVA has them: a description first, sums last, and only the disk's bytes count."""
    image = {"qcow2": images.qcow2, "raw": images.raw, "vmdk": made["vmdk"]}[name].read_bytes()
    body = tar(("../../box.ovf", b"<?xml?>"), ("/etc/passwd", image), ("box.mf", b"SHA256(box)"))
    path = tmp_path / "box.ova"
    path.write_bytes(PACK[packing](body) if packing else body)
    base = volume.ensure(path)
    assert disk(base.path) == images.raw.read_bytes()
    if name == "qcow2":
        assert base.digest == images.digest


@pytest.mark.parametrize("style", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_each_style_of_tar(volume: Volume, images: Images, tmp_path: Path, style: int) -> None:
    path = tmp_path / "box.tar"
    with tarfile.open(path, "w", format=style) as archive:
        archive.add(images.qcow2, "ä" * 40)
    assert volume.ensure(path).digest == images.digest


@pytest.mark.parametrize("style", ["oldgnu", "pax"])
def test_sparse_archives(volume: Volume, tmp_path: Path, style: str) -> None:
    """As Google's cloud has its images."""
    raw = tmp_path / "disk.raw"
    body = bytearray(8 * MIB)
    body[510:512] = b"\x55\xaa"
    body[6 * MIB : 7 * MIB] = b"x" * MIB
    raw.write_bytes(bytes(16 * MIB))
    with raw.open("wb") as file:
        for start in (0, 6 * MIB):
            file.seek(start)
            file.write(body[start : start + MIB])
        file.truncate(len(body))
    path = tmp_path / "disk.tar"
    argv = ["tar", f"--format={style}", "-S", "-C", str(tmp_path), "-cf", str(path), "disk.raw"]
    subprocess.run(argv, check=True)
    assert path.stat().st_size < 4 * MIB, "it was sparse"
    assert disk(volume.ensure(path).path) == body


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.75])
def test_truncated_images_are_noticed(
    volume: Volume, made: dict[str, Path], tmp_path: Path, name: str, kept: float
) -> None:
    """QEMU's drivers read what is beyond the end as zeros."""
    body = made[name].read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(body[: int(len(body) * kept)])
    assert refusal(volume, path)


@pytest.mark.parametrize("sequences", [(1, 2), (2, 1)])
def test_a_vhdx_image_whose_older_header_has_a_log(
    volume: Volume, tmp_path: Path, sequences: tuple[int, int]
) -> None:
    """As it is left by who closes one cleanly and writes the newer header only."""
    path = tmp_path / "image"
    old, new = b"l" * 16, bytes(16)
    logs = (old, new) if sequences == (1, 2) else (new, old)
    path.write_bytes(foreign_headers.vhdx(logs=logs, sequences=sequences))
    assert volume.ensure(path).virtual_size == MIB


def ensure_as_qemu(volume: Volume, source: Path) -> Base:
    return fetch.ensure(volume.settings(source), QEMU)


@pytest.mark.parametrize("name", FORMATS)
def test_the_base_is_ours_whoever_read_the_image(
    reachable: Volume, images: Images, made: dict[str, Path], name: str
) -> None:
    base = ensure_as_qemu(reachable, made[name])
    found = base.path.stat()
    assert (found.st_uid, found.st_mode & 0o777) == (os.geteuid(), 0o444)
    assert disk(base.path) == images.raw.read_bytes()


def test_who_does_what_and_where(
    reachable: Volume, made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What parses a stranger's image is QEMU's user. What that user writes nobody else can find,
    and the base is made of it by ourselves, where that user cannot write."""
    seen: list[tuple[str, str, Account | None]] = []
    real = process.run

    def noted(
        argv: Sequence[str],
        *,
        timeout: float = 60.0,
        success: Sequence[int] = (0,),
        limits: process.Limits | None = None,
        account: Account | None = None,
    ) -> process.Result:
        seen.append((argv[1], argv[argv.index("-f") + 1], account))
        assert limits
        assert limits.address_space <= 4 << 30
        assert 0 < timeout <= 603
        assert 0 < limits.cpu_seconds <= 602
        target = Path(argv[-1])
        if argv[1] == "convert" and account:
            assert may(account, target, READ_WRITE)
            assert target.parent.parent == reachable.path
            assert not may(account, target.parent, READ)
            assert re.fullmatch("[0-9a-f]{32}", target.name)
            assert limits.file_size == 5 * MIB
        else:
            assert not may(QEMU, target, READ_WRITE)
            # A raw disk's data, and tables for them; a check writes nothing.
            assert limits.file_size == (5 * MIB * 65 // 64 + MIB if argv[1] == "convert" else 0)
        return real(argv, timeout=timeout, success=success, limits=limits, account=account)

    monkeypatch.setattr(process, "run", noted)
    ensure_as_qemu(reachable, made["vmdk"])
    assert seen == [
        ("check", "vmdk", QEMU),
        ("convert", "vmdk", QEMU),
        ("convert", "raw", None),
        ("check", "qcow2", QEMU),
    ]


def endless(packed: bytes) -> bytes:
    """A stream of 128 GiB whose grains are all the same one, unpacked two million times."""
    sectors = (128 << 30) // 512
    entries = sectors // 128 // 512
    directory, table = 128, 128 + entries * 4 // 512
    grain = table + 4
    text = descriptor(type_="streamOptimized", extents=[f'RW {sectors} SPARSE "disk.vmdk"'])
    head = vmdk(
        text, version=3, flags=0x30001, compression=1, capacity=sectors, directory=directory
    )
    data = struct.pack("<QI", 0, len(packed)) + packed
    tables = table.to_bytes(4, "little") * entries + grain.to_bytes(4, "little") * 512
    return (head + tables + data).ljust((grain + 16) * 512, b"\0")


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LEAST_SECONDS", 1)
    monkeypatch.setattr(qemu_img, "SLOWEST_CPU", 1 << 60)


@pytest.mark.usefixtures("one_second")
def test_a_conversion_that_takes_too_long_is_ended(volume: Volume, tmp_path: Path) -> None:
    path = tmp_path / "endless.vmdk"
    path.write_bytes(endless(zlib.compress(bytes(64 << 10))))
    assert "reading it took more than 1 s of CPU" in refusal(volume, path)


def test_a_disk_that_does_not_fit(small_volume: Volume, tmp_path: Path) -> None:
    """It is small as long as it is packed, and holds no zeros."""
    path = tmp_path / "large.vmdk"
    path.write_bytes(endless(zlib.compress(b"x" * (64 << 10))))
    with pytest.raises(StorageError, match=r"does not fit.*the shared volume has to grow"):
        small_volume.ensure(path)
    assert small_volume.names() == []


def test_the_image_makes_room_for_its_disk(small_volume: Volume, made: dict[str, Path]) -> None:
    """3 MiB as VMDK, as many as a raw disk and as qcow2: no three of them fit into 8 MiB."""
    assert small_volume.ensure(made["vmdk"]).virtual_size == 5 * MIB


def test_a_disk_larger_than_what_was_read_in_it(
    volume: Volume, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should QEMU ever find more in an image than we did, it has nowhere to put it."""
    monkeypatch.setattr(foreign, "judge", lambda *_: 3 * MIB)
    text = refusal(volume, made["vmdk"])
    assert "cannot be read as vmdk" in text
    assert "smaller" in text


@pytest.mark.parametrize("size", ["4M", "32M"])
def test_the_largest_image(
    volume: Volume, images: Images, made: dict[str, Path], tmp_path: Path, size: str
) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(PACK["gz"](images.raw.read_bytes()))
    for path in (images.qcow2, images.raw, packed, *made.values()):
        if size == "32M":
            assert volume.ensure(path, IMG_MAX_SIZE=size).virtual_size == 5 * MIB
        else:
            assert "IMG_MAX_SIZE accepts" in refusal(volume, path, IMG_MAX_SIZE=size)
