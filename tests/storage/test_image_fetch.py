"""From a source to a base: what comes out of each kind of image."""

import hashlib
import os
from pathlib import Path

import pytest

from launcher.host.errors import ImageRefused, InputMissing
from launcher.image.format.qcow2 import header as spec
from launcher.image.store import bases
from tests.storage.conftest import MIB, Images, Volume, qemu_img
from tests.storage.ensuring import ensuring
from tests.storage.http_server import Reply, Server
from tests.storage.outcomes import PACK, disk, refusal, sha256


def test_a_qcow2_image_becomes_a_base_as_it_is(
    volume: Volume, server: Server, images: Images
) -> None:
    base = volume.ensure(server.serve("/disk.qcow2", images.qcow2.read_bytes()))
    digest = images.digest
    assert base.digest == digest
    assert base.path == volume.path / f"sha256-{digest}.qcow2"
    assert sha256(base.path) == digest
    assert (base.size, base.virtual_size) == (images.qcow2.stat().st_size, 5 * MIB)
    assert volume.names() == sorted(
        ["disk.qcow2", f"sha256-{digest}.json", f"sha256-{digest}.qcow2"]
    )
    assert (volume.path / "disk.qcow2").resolve() == base.path
    assert base.path.stat().st_mode & 0o777 == 0o444
    assert base.path.stat().st_nlink == 1
    assert bases.load(volume.path, digest) == base


def test_once_there_no_one_is_asked(volume: Volume, server: Server, images: Images) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    base = volume.ensure(url)
    assert len(server.requests) == 1
    server.replies.clear()
    assert volume.ensure(url) == base
    assert volume.ensure(url, IMG_CHECKSUM=f"sha256:{base.digest}") == base
    assert volume.ensure(IMG_TARGET="disk.qcow2") == base
    assert len(server.requests) == 1


def test_a_base_known_by_its_digest_needs_no_source(
    volume: Volume, server: Server, images: Images
) -> None:
    base = volume.ensure(server.serve("/disk.qcow2", images.qcow2.read_bytes()))
    gone = server.url("/renamed.qcow2")
    assert volume.ensure(gone, IMG_CHECKSUM=f"sha256:{base.digest}").path == base.path
    assert (volume.path / "renamed.qcow2").resolve() == base.path
    assert len(server.requests) == 1


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("name", ["disk.qcow2", "disk"])
def test_packed_images_are_unpacked_whatever_their_name(
    volume: Volume, server: Server, images: Images, packing: str, name: str
) -> None:
    packed = PACK[packing](images.qcow2.read_bytes())
    checksum = f"sha256:{hashlib.sha256(packed).hexdigest()}"
    base = volume.ensure(server.serve(f"/{name}", packed), IMG_CHECKSUM=checksum)
    assert base.digest == images.digest
    # The checksum of the packed file still identifies it.
    assert volume.ensure(server.url(f"/{name}"), IMG_CHECKSUM=checksum) == base
    assert len(server.requests) == 1


@pytest.mark.parametrize("packing", [None, "gz"])
def test_raw_images_become_qcow2(
    volume: Volume, server: Server, images: Images, packing: str | None
) -> None:
    body = images.raw.read_bytes()
    base = volume.ensure(server.serve("/disk.img", PACK[packing](body) if packing else body))
    header = spec.read(base.path)
    assert (header.virtual_size, header.backing_file) == (5 * MIB, None)
    assert base.virtual_size == 5 * MIB
    assert base.digest == sha256(base.path)
    assert base.size < 5 * MIB, "zeros take no space"
    assert disk(base.path) == body
    assert [each for each in volume.names() if each.endswith(".part")] == []


def test_the_same_raw_image_twice_is_one_base(
    volume: Volume, server: Server, images: Images
) -> None:
    body = images.raw.read_bytes()
    first = volume.ensure(server.serve("/one.img", body))
    second = volume.ensure(server.serve("/two.img", body))
    assert first.path == second.path


def test_a_gpt_without_a_boot_sector_is_a_disk(volume: Volume, server: Server) -> None:
    body = bytearray(2 * MIB)
    body[512:520] = b"EFI PART"
    assert volume.ensure(server.serve("/disk.img", bytes(body))).virtual_size == 2 * MIB


def test_a_fetch_without_a_length(volume: Volume, server: Server, images: Images) -> None:
    base = volume.ensure(server.serve("/d", Reply(images.qcow2.read_bytes(), chunked=True)))
    assert base.digest == images.digest


@pytest.mark.parametrize("kind", ["qcow2", "raw", "vmdk"])
def test_a_fetch_until_the_server_closes(
    volume: Volume, server: Server, images: Images, tmp_path: Path, kind: str
) -> None:
    """Where nothing else tells whether it is all, a checksum has to."""
    image = tmp_path / "image"
    qemu_img("convert", "-f", "raw", "-O", kind, images.raw, image)
    body = image.read_bytes()
    cut = server.serve("/cut", Reply(body, promised=None, cut=len(body) - 4096))
    assert "does not say how long it is" in refusal(volume, cut)
    checksum = f"sha256:{sha256(image)}"
    assert "wrong checksum" in refusal(volume, cut, IMG_CHECKSUM=checksum)
    whole = server.serve("/whole", Reply(body, promised=None))
    assert disk(volume.ensure(whole, IMG_CHECKSUM=checksum).path) == images.raw.read_bytes()


@pytest.mark.parametrize("packing", PACK)
def test_a_packed_fetch_until_the_server_closes(
    volume: Volume, server: Server, images: Images, packing: str
) -> None:
    body = PACK[packing](images.raw.read_bytes())
    cut = server.serve("/cut", Reply(body, promised=None, cut=len(body) - 5))
    assert "ends too soon" in refusal(volume, cut)
    whole = server.serve("/whole", Reply(body, promised=None))
    assert disk(volume.ensure(whole).path) == images.raw.read_bytes()


def test_a_path_is_copied(volume: Volume, images: Images) -> None:
    base = volume.ensure(images.qcow2)
    assert base.source == str(images.qcow2)
    assert base.digest == images.digest
    assert base.path.stat().st_ino != images.qcow2.stat().st_ino
    assert volume.ensure(images.qcow2) == base


def test_a_path_as_target(volume: Volume, images: Images) -> None:
    """As the first Berth took it."""
    base = volume.ensure(IMG_TARGET=str(images.raw))
    assert disk(base.path) == images.raw.read_bytes()
    assert (volume.path / "disk.img").resolve() == base.path


def test_an_image_somebody_put_on_the_shared_volume(volume: Volume, images: Images) -> None:
    place = volume.path / "mine.qcow2"
    place.write_bytes(images.qcow2.read_bytes())
    base = volume.ensure(IMG_TARGET="mine.qcow2")
    assert base.digest == images.digest
    assert not place.is_symlink(), "whoever put it there may need it"
    assert (volume.path / "mine.qcow2.base").resolve() == base.path
    assert volume.ensure(IMG_TARGET="mine.qcow2") == base


def test_a_newer_file_at_the_same_path_is_another_base(
    volume: Volume, images: Images, tmp_path: Path
) -> None:
    source = tmp_path / "disk.qcow2"
    source.write_bytes(images.qcow2.read_bytes())
    first = volume.ensure(source)
    qemu_img("create", "-f", "qcow2", source, "3M")
    second = volume.ensure(source)
    assert second.virtual_size == 3 * MIB
    assert bases.load(volume.path, first.digest) == first


def test_paths_that_lead_nowhere(volume: Volume, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, words in {
        tmp_path / "missing.qcow2": "cannot be read: No such file or directory",
        folder: "is a folder",
        fifo: "is not a file",
    }.items():
        with pytest.raises(InputMissing, match=f"IMG_SOURCE='{path}' {words}") as caught:
            volume.ensure(path)
        assert caught.value.exit_code == 66
    with pytest.raises(InputMissing, match="IMG_TARGET='/nowhere' cannot be read"):
        volume.ensure(IMG_TARGET="/nowhere")
    assert volume.names() == []


def test_neither_base_nor_source(volume: Volume) -> None:
    with pytest.raises(InputMissing, match=r"IMG_TARGET='mine' names no base.*IMG_SOURCE is not"):
        volume.ensure(IMG_TARGET="mine")


def test_a_name_that_is_taken_is_noticed_before_the_fetch(
    volume: Volume, server: Server, images: Images
) -> None:
    (volume.path / "disk.qcow2").write_text("precious")
    with pytest.raises(ImageRefused, match="is there already"):
        volume.ensure(server.serve("/disk.qcow2", images.qcow2.read_bytes()))
    assert server.requests == []
    assert (volume.path / "disk.qcow2").read_text() == "precious"


def test_the_same_bytes_are_one_base_however_they_come(
    volume: Volume, server: Server, images: Images
) -> None:
    """Two addresses, one of them packed, and a file."""
    body = images.qcow2.read_bytes()
    urls = [
        server.serve("/disk.qcow2", body),
        server.serve("/mirror/disk.qcow2?token=1", body),
        server.serve("/disk.qcow2.gz", PACK["gz"](body)),
    ]
    server.serve("/mirror/disk.qcow2", body)
    sources: list[str | Path] = [*urls, images.qcow2]
    paths = {volume.ensure(each).path for each in sources}
    assert paths == {volume.path / f"sha256-{images.digest}.qcow2"}
    asked = len(server.requests)
    assert [volume.ensure(each).path for each in sources] == [*paths] * 4
    assert len(server.requests) == asked == 3
    assert volume.names() == sorted(
        [
            "disk.qcow2",
            "disk.qcow2.gz",
            f"sha256-{images.digest}.json",
            f"sha256-{images.digest}.qcow2",
        ]
    )


def test_a_start_on_a_base_that_was_altered_is_refused(
    volume: Volume, server: Server, images: Images
) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    base = volume.ensure(url)
    os.utime(base.path, (1, 1))
    with ensuring(volume.path, url) as (one,):
        assert one.end() == (65, "")
    assert f"the base {base.path} is not what it was: it was changed at 1970-01-01" in one.log
    assert len(server.requests) == 1
