"""The store: names by content, nothing replaced, nothing altered taken for what it was."""

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from launcher.host.errors import ImageRefused, StorageError
from launcher.image.base import Base
from launcher.image.store import bases
from launcher.image.wanted import wanted
from tests.unit.image.conftest import URL, Volume

DIGEST = hashlib.sha256(b"an image").hexdigest()
STORED = f"sha256-{DIGEST}.qcow2"
RECORD = f"sha256-{DIGEST}.json"
OTHER = f"sha256-{hashlib.sha256(b'another').hexdigest()}.qcow2"


def test_a_base_is_there_under_both_names(volume: Volume) -> None:
    base = volume.adopt()
    assert base == Base(volume.path / STORED, DIGEST, 8, 1 << 30, URL)
    assert volume.names() == sorted(["disk.qcow2", STORED, RECORD])
    assert str((volume.path / "disk.qcow2").readlink()) == STORED
    assert (volume.path / STORED).read_bytes() == b"an image"
    assert stat.S_IMODE((volume.path / STORED).stat().st_mode) == 0o444
    assert (volume.path / STORED).stat().st_mtime_ns % 1_000_000_000 == 0


def test_it_is_found_and_loaded_again(volume: Volume) -> None:
    assert bases.find(volume.settings()) is None
    assert bases.load(volume.path, DIGEST) is None
    base = volume.adopt()
    assert bases.find(volume.settings()) == base
    assert bases.load(volume.path, DIGEST) == base


def test_a_name_alone_is_enough_to_find_it(volume: Volume) -> None:
    base = volume.adopt()
    assert bases.find(volume.settings(IMG_TARGET="disk.qcow2")) == base
    assert bases.find(volume.settings(IMG_TARGET=STORED)) == base
    assert bases.find(volume.settings(IMG_TARGET="other.qcow2")) is None
    assert bases.find(volume.settings(IMG_TARGET=OTHER)) is None


def test_another_source_is_not_found_under_the_same_name(volume: Volume) -> None:
    volume.adopt()
    elsewhere = {"IMG_SOURCE": "https://example.net/disk.qcow2"}
    assert bases.find(volume.settings(**elsewhere)) is None
    base = volume.adopt(b"another", **elsewhere)
    assert str((volume.path / "disk.qcow2").readlink()) == OTHER
    assert bases.find(volume.settings(**elsewhere)) == base
    assert bases.load(volume.path, DIGEST), "pets may be on the old one"
    assert bases.find(volume.settings()) is None


def test_two_sources_with_the_same_bytes_share_one_base(volume: Volume) -> None:
    first = volume.adopt()
    elsewhere = {"IMG_SOURCE": "https://example.net/copy.qcow2"}
    second = volume.adopt(**elsewhere)
    assert (second.path, second.source) == (first.path, "https://example.net/copy.qcow2")
    assert volume.names() == sorted(["copy.qcow2", "disk.qcow2", STORED, RECORD])
    assert bases.find(volume.settings()) == first
    assert bases.find(volume.settings(**elsewhere)) == second


def test_a_digest_is_enough_whatever_the_source(volume: Volume) -> None:
    """Signed addresses change with each start; mirrors differ."""
    base = volume.adopt()
    elsewhere = {"IMG_SOURCE": "https://example.net/disk.qcow2?sig=1"}
    assert bases.find(volume.settings(**elsewhere, IMG_CHECKSUM=f"sha256:{DIGEST}")) == base
    assert bases.find(volume.settings(**elsewhere, IMG_CHECKSUM=f"sha256:{'0' * 64}")) is None


def test_a_checksum_that_nobody_verified_is_not_satisfied(volume: Volume) -> None:
    volume.adopt()
    for checksum in ("sha512:" + "0" * 128, "https://example.org/SHA256SUMS"):
        assert bases.find(volume.settings(IMG_SOURCE=URL, IMG_CHECKSUM=checksum)) is None


def test_a_file_that_was_the_source_may_go_but_not_change(volume: Volume, tmp_path: Path) -> None:
    source = tmp_path / "disk.img"
    source.write_bytes(b"an image")
    base = volume.adopt(IMG_SOURCE=str(source))
    # As an older Berth noted it.
    record = volume.path / RECORD
    status = source.stat()
    noted = f'"size": {status.st_size}, "mtime_ns": {status.st_mtime_ns}, "fetched":'
    text = record.read_text().replace('"fetched":', noted)
    record.write_text(text)
    settings = volume.settings(IMG_SOURCE=str(source))
    assert bases.find(settings) == base
    os.utime(source, ns=(1, 1))
    assert bases.find(settings) is None, "there is a newer image at that path"
    source.unlink()
    assert bases.find(settings) == base


@pytest.mark.parametrize("how", ["grown", "touched"])
def test_an_altered_base_is_refused(volume: Volume, how: str) -> None:
    base = volume.adopt()
    base.path.chmod(0o644)
    then = base.path.stat().st_mtime_ns
    if how == "grown":
        base.path.write_bytes(b"an image that grew")
        os.utime(base.path, ns=(then, then))
        words = "it has 18 bytes and had 8"
    else:
        os.utime(base.path, ns=(then + 10**9, then + 10**9))
        words = "it was changed at 20.*Z, after it was proved at 20"
    with pytest.raises(ImageRefused, match=words) as caught:
        bases.load(volume.path, DIGEST)
    assert "`berth images` tells which pets stand on it" in caught.value.hint
    assert "`berth images prune --now` removes it, and it is fetched again" in caught.value.hint
    with pytest.raises(ImageRefused, match=words):
        bases.find(volume.settings())
    with pytest.raises(ImageRefused, match=words):
        volume.adopt()
    assert bases.find(volume.settings(IMG_SOURCE="https://example.net/disk.qcow2")) is None


def test_the_record_of_another_base_does_not_vouch(volume: Volume) -> None:
    volume.adopt()
    other = volume.adopt(b"another", IMG_TARGET="other", IMG_SOURCE=URL)
    record = other.path.with_suffix(".json")
    record.write_text((volume.path / RECORD).read_text())
    with pytest.raises(ImageRefused, match="its record is of another base"):
        bases.load(volume.path, other.digest)


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_base_without_a_record_is_proved_before_it_is_used(
    volume: Volume, text: str | None
) -> None:
    """A crash between naming a base and writing its record leaves one."""
    base = volume.adopt()
    (volume.path / RECORD).unlink()
    if text is not None:
        (volume.path / RECORD).write_text(text)
    with pytest.raises(ImageRefused, match=r"its record is missing or damaged.*berth images"):
        bases.load(volume.path, DIGEST)
    asked = {"IMG_SOURCE": URL, "IMG_CHECKSUM": f"sha256:{DIGEST}"}
    assert bases.reuse(wanted(volume.settings(**asked))) is None
    assert bases.find(volume.settings()) is None, "so it is fetched again"
    assert volume.adopt() == base
    assert bases.find(volume.settings()) == base


def test_a_base_without_a_record_that_is_not_what_its_name_says(volume: Volume) -> None:
    volume.adopt()
    (volume.path / RECORD).unlink()
    (volume.path / STORED).chmod(0o644)
    (volume.path / STORED).write_bytes(b"AN IMAGE")
    with pytest.raises(ImageRefused, match="not what it was: its sha256 is"):
        volume.adopt()


def test_a_base_that_is_gone_is_not_there(volume: Volume) -> None:
    base = volume.adopt()
    base.path.unlink()
    assert bases.find(volume.settings()) is None
    assert bases.load(volume.path, DIGEST) is None


def test_the_record_of_a_base_that_is_gone_is_replaced(volume: Volume) -> None:
    base = volume.adopt()
    base.path.unlink()
    record = volume.path / RECORD
    record.write_text(record.read_text().replace('"mtime_ns": 1', '"mtime_ns": 2'))
    assert volume.adopt() == base
    assert bases.find(volume.settings()) == base


def test_whoever_is_first_with_the_record_is_kept(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two addresses lead to the same bytes, and the second one overtakes the first."""
    link = os.link
    elsewhere = {"IMG_SOURCE": "https://example.net/copy.qcow2"}

    def overtaken(old: Path, new: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        link(old, new)
        volume.adopt(**elsewhere)

    monkeypatch.setattr(os, "link", overtaken)
    base = volume.adopt()
    assert bases.find(volume.settings()) == base
    assert bases.find(volume.settings(**elsewhere))


def test_something_else_with_the_name_is_left_alone(volume: Volume) -> None:
    place = volume.path / "disk.qcow2"
    place.write_bytes(b"precious")
    want = wanted(volume.settings())
    assert bases.find(volume.settings()) is None
    with pytest.raises(ImageRefused, match=r"disk\.qcow2 is there already.*nothing is overwritten"):
        bases.reserve(want)
    place.unlink()
    place.symlink_to("elsewhere.qcow2")
    with pytest.raises(ImageRefused, match="there already"):
        bases.reserve(want)
    place.unlink()
    bases.reserve(want)


def test_there_has_to_be_a_volume(volume: Volume) -> None:
    volume.path.rmdir()
    with pytest.raises(StorageError, match=r"SHARED_DIR='.*' is not there"):
        bases.reserve(wanted(volume.settings()))


def test_a_base_with_the_digest_gets_a_further_name(volume: Volume) -> None:
    base = volume.adopt()
    asked = {"IMG_CHECKSUM": f"sha256:{DIGEST}", "IMG_TARGET": "mine", "IMG_SOURCE": URL}
    assert bases.reuse(wanted(volume.settings(**asked))) == base
    assert bases.find(volume.settings(**asked)) == base
    assert str((volume.path / "mine").readlink()) == STORED


def test_no_digest_no_reuse(volume: Volume) -> None:
    volume.adopt()
    for checksum in (f"sha256:{'0' * 64}", f"sha512:{DIGEST * 2}", "https://example.org/SHA256SUM"):
        asked = {"IMG_SOURCE": URL, "IMG_TARGET": "mine", "IMG_CHECKSUM": checksum}
        assert bases.reuse(wanted(volume.settings(**asked))) is None
    assert not (volume.path / "mine").is_symlink()


def test_the_name_of_one_base_is_never_given_to_another(volume: Volume) -> None:
    with pytest.raises(ImageRefused, match="is the name of one base"):
        volume.adopt(IMG_TARGET=OTHER, IMG_SOURCE=URL)
    assert volume.names() == []
    volume.adopt(IMG_TARGET=STORED, IMG_SOURCE=URL)
    assert volume.names() == sorted([STORED, RECORD])
    asked = {"IMG_TARGET": OTHER, "IMG_SOURCE": URL, "IMG_CHECKSUM": f"sha256:{DIGEST}"}
    with pytest.raises(ImageRefused, match="is the name of one base"):
        bases.reuse(wanted(volume.settings(**asked)))


def test_a_volume_without_hard_links(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    base = volume.adopt()
    assert bases.find(volume.settings()) == base
    inode = base.path.stat().st_ino
    assert volume.adopt() == base
    assert base.path.stat().st_ino == inode
    assert volume.names() == sorted(["disk.qcow2", STORED, RECORD])


def test_an_existing_base_wins(volume: Volume) -> None:
    inode = volume.adopt().path.stat().st_ino
    assert volume.adopt().path.stat().st_ino == inode


def test_a_record_does_not_grow_without_end(volume: Volume) -> None:
    for number in range(40):
        volume.adopt(IMG_SOURCE=f"https://example.org/disk.qcow2?sig={number}")
    assert (volume.path / RECORD).read_text().count('"source":') == 32
    last = volume.settings(IMG_SOURCE="https://example.org/disk.qcow2?sig=39")
    assert bases.find(last)


def test_a_volume_that_cannot_be_read(volume: Volume) -> None:
    blocked = volume.path / "file"
    blocked.write_text("")
    with pytest.raises(StorageError, match=r"cannot be read: .*irectory"):
        bases.load(blocked, DIGEST)


def test_a_base_is_on_the_disk_before_it_has_a_name(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut, what has a name is whole."""
    steps: list[str] = []

    def fsync(fd: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")

    def replace(self: Path, target: Path) -> Path:
        steps.append(target.name)
        return target

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", lambda old, new: steps.append(new.name))
    monkeypatch.setattr(Path, "replace", replace)
    (volume.path / STORED).write_bytes(b"an image")
    volume.adopt()
    assert steps == ["file", STORED, "file", RECORD, "disk.qcow2", "folder"]
