"""From a source to a base: what comes out of each kind of image, and of each kind of trap."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from launcher.host import process
from launcher.host.errors import ImageRefused, InputMissing, SourceUnavailable
from launcher.image import http, qcow2, source, store
from launcher.image import qemu_img as image_check
from tests.storage.conftest import MIB, Images, Volume, qemu_img
from tests.storage.http_server import Hold, Reply, Server

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    # The zstd program adds a checksum, too.
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bz2": bz2.compress,
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def disk(path: Path) -> bytes:
    """What a guest would read from the qcow2 image at `path`."""
    raw = path.with_suffix(".read-back")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    content = raw.read_bytes()
    raw.unlink()
    return content


def refusal(volume: Volume, source: str | Path, **environ: str) -> str:
    with pytest.raises(ImageRefused) as caught:
        volume.ensure(source, **environ)
    assert volume.names() == [], "nothing half-written, and nothing with a name"
    return str(caught.value)


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
    assert store.load(volume.path, digest) == base


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
    header = qcow2.read(base.path)
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
    for name, reply in {
        "chunked": Reply(images.qcow2.read_bytes(), chunked=True),
        "until-closed": Reply(images.qcow2.read_bytes(), promised=None),
    }.items():
        base = volume.ensure(server.serve(f"/{name}", reply))
        assert base.digest == images.digest


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
    assert store.load(volume.path, first.digest) == first


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


# --- checksums ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("style", ["GNU", "binary", "BSD"])
def test_a_list_of_checksums(
    volume: Volume, server: Server, images: Images, algorithm: str, style: str
) -> None:
    body = images.qcow2.read_bytes()
    digest = hashlib.new(algorithm, body).hexdigest()
    line = {
        "GNU": f"{digest}  disk.qcow2",
        "binary": f"{digest} *disk.qcow2",
        "BSD": f"{algorithm.upper()} (disk.qcow2) = {digest}",
    }[style]
    name = f"/{algorithm.upper()}SUMS"
    sums = server.serve(name, f"{line}\n".encode())
    url = server.serve("/disk.qcow2", body)
    base = volume.ensure(url, IMG_CHECKSUM=sums)
    assert server.paths() == [name, "/disk.qcow2"], "the list first: it may not list the file"
    assert volume.ensure(url, IMG_CHECKSUM=sums) == base
    assert volume.ensure(url, IMG_CHECKSUM=f"{algorithm}:{digest}") == base
    assert len(server.requests) == 2
    record = json.loads(base.path.with_suffix(".json").read_text())
    assert record["origins"][0]["arrived"][algorithm] == digest
    assert record["origins"][0]["sums"] == sums


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_wrong_checksum(volume: Volume, server: Server, images: Images, algorithm: str) -> None:
    body = images.qcow2.read_bytes()
    url = server.serve("/disk.qcow2", body)
    wrong = hashlib.new(algorithm, b"something else").hexdigest()
    text = refusal(volume, url, IMG_CHECKSUM=f"{algorithm}:{wrong}")
    assert "has the wrong checksum" in text
    assert wrong in text
    assert hashlib.new(algorithm, body).hexdigest() in text
    sums = server.serve("/SHA256SUMS", f"{'0' * 64}  disk.qcow2\n".encode())
    assert "has the wrong checksum" in refusal(volume, url, IMG_CHECKSUM=sums)


def test_a_checksum_that_nobody_had_asked_for_yet(
    volume: Volume, server: Server, images: Images
) -> None:
    """A sha512 is known only if it was asked for: the image is fetched once more, and proved."""
    body = images.qcow2.read_bytes()
    url = server.serve("/disk.qcow2", body)
    base = volume.ensure(url)
    checksum = f"sha512:{hashlib.sha512(body).hexdigest()}"
    assert volume.ensure(url, IMG_CHECKSUM=checksum) == base
    assert len(server.requests) == 2
    assert volume.ensure(url, IMG_CHECKSUM=checksum) == base
    assert len(server.requests) == 2
    with pytest.raises(ImageRefused, match="wrong checksum"):
        volume.ensure(url, IMG_CHECKSUM="sha256:" + "0" * 64)
    assert volume.ensure(url) == base, "what was there is still there"


def test_lists_that_do_not_help(volume: Volume, server: Server, images: Images) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    with pytest.raises(SourceUnavailable, match=r"IMG_CHECKSUM=.*SHA256SUMS answered 404"):
        volume.ensure(url, IMG_CHECKSUM=server.url("/SHA256SUMS"))
    sums = server.serve("/SHA256SUMS", f"{'0' * 64}  other.qcow2\n".encode())
    assert "does not list disk.qcow2" in refusal(volume, url, IMG_CHECKSUM=sums)
    server.serve("/SHA256SUMS", b"<html>")
    assert "no list of sha256 digests" in refusal(volume, url, IMG_CHECKSUM=sums)
    server.serve("/SHA256SUMS", bytes(5 * MIB))
    assert "too large" in refusal(volume, url, IMG_CHECKSUM=sums)
    assert "/disk.qcow2" not in server.paths()


# --- images that are refused -------------------------------------------------------------------


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
    key = "secret,id=key,data=geheim"
    luks = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"
    qemu_img("create", "--object", key, "-f", "qcow2", "-o", luks, encrypted, "1M")
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
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setattr(http, "READ_TIMEOUT", 2.0)
    start = traps["backing file"].read_bytes() if "file" in what else b""
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(start + bytes(8 * MIB), hold=hold))
    try:
        assert what in refusal(volume, url)
    finally:
        hold.go.set()


def test_qemu_never_sees_an_image_that_names_other_files(
    volume: Volume, traps: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.setattr(image_check, "check", lambda path, source: seen.append(path))
    for path in traps.values():
        refusal(volume, path)
    assert seen == []


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_truncated_image_is_noticed(
    volume: Volume, server: Server, images: Images, kept: float
) -> None:
    """It arrives whole, as far as the server knows; `qemu-img info` finds nothing wrong."""
    body = images.qcow2.read_bytes()
    url = server.serve("/disk.qcow2", body[: int(len(body) * kept)])
    assert "is damaged: qemu-img check finds" in refusal(volume, url)


def test_an_image_cut_inside_its_tables(volume: Volume, server: Server, images: Images) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes()[:70000])
    assert "the file is cut short" in refusal(volume, url)


def test_an_image_with_broken_tables(volume: Volume, images: Images, tmp_path: Path) -> None:
    header = qcow2.read(images.qcow2)
    body = bytearray(images.qcow2.read_bytes())
    # An L1 entry that leads behind the end of the file, by far.
    body[header.l1_offset : header.l1_offset + 8] = (1 << 63 | 1 << 40).to_bytes(8)
    path = tmp_path / "broken.qcow2"
    path.write_bytes(body)
    assert "is damaged: qemu-img check finds" in refusal(volume, path)


def test_a_check_that_takes_too_much_is_refused(
    volume: Volume, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No image made to take for ever is at hand, so an ordinary one gets no time at all."""
    monkeypatch.setattr(image_check, "CHECK_LIMITS", process.Limits(1 << 30, cpu_seconds=0))
    assert "checking it took more than" in refusal(volume, images.qcow2)


def test_lost_clusters_do_no_harm(
    volume: Volume, images: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    header = qcow2.read(images.qcow2)
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


def test_archives_and_other_formats(volume: Volume, images: Images, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(images.qcow2, "disk.qcow2")
    (tmp_path / "disk.tar").write_bytes(archive.getvalue())
    (tmp_path / "disk.tar.gz").write_bytes(gzip.compress(archive.getvalue()))
    assert "a tar archive" in refusal(volume, tmp_path / "disk.tar")
    assert ", unpacked from gzip, is a tar archive" in refusal(volume, tmp_path / "disk.tar.gz")
    for kind, shown in {
        "vmdk": "VMDK",
        "vdi": "VDI",
        "vhdx": "VHDX",
        "vpc": "VHD",
        "qed": "QED",
        "qcow": "version 1",
    }.items():
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
    with source.opened(str(growing), "IMG_SOURCE") as stream:
        next(stream.chunks)
        with growing.open("ab") as file:
            file.write(b"more")
        with pytest.raises(SourceUnavailable, match="changed while it was copied"):
            list(stream.chunks)
