"""Images that must not become a base, each refused with its own words."""

import gzip
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from launcher.host.errors import ImageRefused, SourceUnavailable, StorageError
from launcher.image.format import qemu_img as image_check
from launcher.image.format.qcow2 import header as spec
from launcher.image.source.opened import opened
from tests.storage.conftest import MIB, Images, Replace, Volume, qemu_img
from tests.storage.http_server import Hold, Reply, Server
from tests.storage.outcomes import PACK, refusal


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Images as qemu-img itself makes them, that would read files of the container."""
    folder = tmp_path_factory.mktemp("traps")
    secret = folder / "secret"
    secret.write_bytes(b"do not read me".ljust(MIB, b"\0"))
    backed = folder / "backed.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", backed)
    external = folder / "external.qcow2"
    data = f"data_file={secret},data_file_raw=on"
    qemu_img("create", "-f", "qcow2", "-o", data, external, "1M")
    encrypted = folder / "encrypted.qcow2"
    qemu_img("create", "-f", "qcow2", encrypted, "1M")
    # The header's encryption method: LUKS. Real keys take qemu-img a measurement of CPU time that
    # fails now and then on a virtual machine.
    with encrypted.open("r+b") as file:
        file.seek(32)
        file.write((2).to_bytes(4))
    return {"backing file": backed, "data in another file": external, "encrypted": encrypted}


@pytest.mark.parametrize("what", ["backing file", "data in another file", "encrypted"])
@pytest.mark.parametrize("packing", [None, "xz"])
def test_images_that_do_not_stand_alone(
    volume: Volume, server: Server, traps: dict[str, Path], what: str, packing: str | None
) -> None:
    body = traps[what].read_bytes()
    url = server.serve("/disk.qcow2", PACK[packing](body) if packing else body)
    assert what in refusal(volume, url)


@pytest.mark.parametrize("what", ["a backing file", "nothing that is known"])
def test_a_refusal_does_not_wait_for_the_rest(
    volume: Volume,
    server: Server,
    traps: dict[str, Path],
    what: str,
) -> None:
    start = traps["backing file"].read_bytes() if "file" in what else b""
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(start + bytes(8 * MIB), hold=hold))
    try:
        assert what in refusal(volume, url, FETCH_STALL_TIMEOUT="2")
    finally:
        hold.go.set()


def test_qemu_never_sees_an_image_that_names_other_files(
    volume: Volume, traps: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.setattr(image_check, "check", lambda path, *_: seen.append(path))
    for path in traps.values():
        refusal(volume, path)
    assert seen == []


@pytest.mark.parametrize("kept", [0.001, 0.3, 0.6, 0.95])
def test_a_truncated_image_is_noticed(
    volume: Volume, server: Server, images: Images, kept: float
) -> None:
    """It arrives whole, as far as the server knows; `qemu-img info` finds nothing wrong."""
    body = images.qcow2.read_bytes()
    url = server.serve("/disk.qcow2", body[: int(len(body) * kept)])
    assert "the file is cut short" in refusal(volume, url)


def test_a_check_that_takes_too_long_is_ended(
    volume: Volume,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    qemu_img_does: Replace,
) -> None:
    qemu_img_does("while :; do :; done")
    monkeypatch.setattr(
        image_check, "CHECK_LIMITS", image_check.CHECK_LIMITS._replace(cpu_seconds=1)
    )
    text = refusal(volume, images.qcow2)
    assert "checking it took more than 1 s of CPU or 1 GiB" in text


def test_a_check_that_hangs_is_ended(
    volume: Volume,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    qemu_img_does: Replace,
) -> None:
    """On a volume that no longer answers, say: it takes no CPU. That says nothing of the image."""
    qemu_img_does("exec sleep 600")
    monkeypatch.setattr(image_check, "CHECK_TIMEOUT", 1.0)
    with pytest.raises(StorageError, match="qemu-img did not end within 1 s"):
        volume.ensure(images.qcow2)
    assert volume.names() == []


def test_a_check_that_complains_without_end(
    volume: Volume,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    qemu_img_does: Replace,
) -> None:
    """Gigabytes of it, which nobody keeps."""
    qemu_img_does("exec yes ERROR cluster 7 refcount=0 reference=1 >&2")
    monkeypatch.setattr(
        image_check, "CHECK_LIMITS", image_check.CHECK_LIMITS._replace(cpu_seconds=1)
    )
    tracemalloc.start()
    try:
        text = refusal(volume, images.qcow2)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "checking it took more than 1 s of CPU" in text
    assert most < 32 * MIB


def test_what_only_the_check_finds(volume: Volume, images: Images, qemu_img_does: Replace) -> None:
    """In a file whose tables are in order as far as we read them."""
    qemu_img_does("""echo '{"corruptions": 7}'; exit 2""")
    assert "is damaged: qemu-img check finds 7 errors" in refusal(volume, images.qcow2)


def test_a_check_that_needs_too_much_memory_is_ended(
    volume: Volume, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        image_check, "CHECK_LIMITS", image_check.CHECK_LIMITS._replace(address_space=16 * MIB)
    )
    assert "cannot be used" in refusal(volume, images.qcow2)


def test_lost_clusters_do_no_harm(
    volume: Volume, images: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    header = spec.read(images.qcow2)
    body = bytearray(images.qcow2.read_bytes())
    body += bytes(-len(body) % header.cluster_size)
    cluster = len(body) // header.cluster_size
    body += bytes(header.cluster_size)
    table = header.refcount_table_offset
    block = int.from_bytes(body[table : table + 8])
    body[block + 2 * cluster : block + 2 * cluster + 2] = b"\0\1"
    path = tmp_path / "leaks.qcow2"
    path.write_bytes(body)
    assert volume.ensure(path).path.is_file()
    assert "lost clusters" in caplog.text


@pytest.mark.parametrize("outer", PACK)
def test_a_packing_inside_a_packing(
    volume: Volume, server: Server, images: Images, outer: str
) -> None:
    body = PACK[outer](gzip.compress(images.qcow2.read_bytes()))
    assert "packed once more, with gzip" in refusal(volume, server.serve("/disk", body))


@pytest.mark.parametrize("packing", PACK)
def test_damaged_and_cut_packings(
    volume: Volume, server: Server, images: Images, packing: str
) -> None:
    packed = bytearray(PACK[packing](images.qcow2.read_bytes()))
    cut = server.serve("/cut", bytes(packed[:-5]))
    assert "packing ends too soon" in refusal(volume, cut)
    packed[len(packed) // 2] ^= 0x55
    damaged = server.serve("/damaged", bytes(packed))
    assert "packing is damaged" in refusal(volume, damaged)


def test_formats_that_are_not_taken(volume: Volume, images: Images, tmp_path: Path) -> None:
    for kind, shown in {"vpc": "VHD", "qed": "QED", "qcow": "version 1"}.items():
        made = tmp_path / f"disk.{kind}"
        qemu_img("convert", "-f", "raw", "-O", kind, images.raw, made)
        assert shown in refusal(volume, made)
    fixed = tmp_path / "fixed.vhd"
    options = "subformat=fixed,force_size=on"
    qemu_img("convert", "-f", "raw", "-O", "vpc", "-o", options, images.raw, fixed)
    assert "is a VHD image" in refusal(volume, fixed)


def test_a_raw_image_of_half_a_sector(volume: Volume, server: Server, images: Images) -> None:
    url = server.serve("/disk.img", images.raw.read_bytes()[:-100])
    assert "starts as a raw disk image does" in refusal(volume, url)


def test_an_altered_base_is_not_fetched_over(
    volume: Volume, server: Server, images: Images
) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    base = volume.ensure(url)
    base.path.chmod(0o644)
    with base.path.open("r+b") as file:
        file.write(b"QFI\xfb\0\0\0\3")
    with pytest.raises(ImageRefused, match=r"it was changed at|and had") as caught:
        volume.ensure(url)
    assert caught.value.exit_code == 65
    assert len(server.requests) == 1


def test_a_file_that_is_still_being_written(volume: Volume, images: Images, tmp_path: Path) -> None:
    growing = tmp_path / "growing.qcow2"
    growing.write_bytes(images.qcow2.read_bytes())
    with opened(str(growing), "IMG_SOURCE") as stream:
        next(stream.chunks)
        with growing.open("ab") as file:
            file.write(b"more")
        with pytest.raises(SourceUnavailable, match="changed while it was copied"):
            list(stream.chunks)


def test_a_file_that_is_written_over(volume: Volume, images: Images, tmp_path: Path) -> None:
    """It has as many bytes as before: the first ones of the old image, the others of the new."""
    path = tmp_path / "disk.qcow2"
    path.write_bytes(images.qcow2.read_bytes())
    os.utime(path, (0, 0))
    before = path.stat()
    with opened(str(path), "IMG_SOURCE") as stream:
        next(stream.chunks)
        with path.open("r+b") as file:
            file.write(bytes(images.qcow2.stat().st_size))
        # As copying programs do; the kernel's clock for files ticks every few milliseconds.
        while path.stat().st_ctime_ns == before.st_ctime_ns:
            os.utime(path, (0, 0))
        with pytest.raises(SourceUnavailable, match="changed while it was copied"):
            list(stream.chunks)


def test_a_file_that_another_one_replaces(
    volume: Volume, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and its opening: the new one is taken, whole."""
    path, new = tmp_path / "disk.qcow2", tmp_path / "new.qcow2"
    path.write_bytes(b"old")
    new.write_bytes(images.qcow2.read_bytes())
    real = Path.open

    def late(self: Path, *args: Any, **named: Any) -> Any:
        if self == path and new.exists():
            new.replace(path)
        return real(self, *args, **named)

    monkeypatch.setattr(Path, "open", late)
    assert volume.ensure(path).digest == images.digest
