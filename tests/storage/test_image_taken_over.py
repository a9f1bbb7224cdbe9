"""A fetcher that was paused, say, and wakes when another one has taken over.

It leaves the other one's files alone. And what the other one makes a base of is what it fetched,
whatever is by then in the place where downloads are kept.
"""

import errno
import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from launcher.host.errors import Busy, StorageError
from launcher.image.format import foreign, qemu_img
from launcher.image.source import parts, retry
from launcher.image.source.kept import kept
from launcher.image.source.ledger import Ledger
from launcher.image.source.parts import Listing
from launcher.image.source.ranges import Pinned
from launcher.image.store import adoption
from tests.storage.conftest import Images, Volume
from tests.storage.conftest import qemu_img as run_qemu_img
from tests.storage.fuse import mounted
from tests.storage.http_server import Reply, Server
from tests.storage.outcomes import disk
from tests.storage.ranged import Ranged

PART = 128 << 10
THEIRS = b"theirs"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", PART)
    monkeypatch.setattr(retry, "FIRST", 0.0)


def put_theirs(folder: Path) -> None:
    """Other data, and another list, where downloads are kept."""
    (key,) = {each.stem for each in folder.glob("fetch-*.lease-1")}
    for suffix in (".part", ".json"):
        (folder / "new").write_bytes(THEIRS)
        (folder / "new").replace(folder / f"{key}{suffix}")


def take_over(folder: Path) -> None:
    """What another fetcher does."""
    (lease,) = folder.glob("fetch-*.lease-1")
    shutil.copyfile(lease, lease.with_suffix(".lease-2"))
    put_theirs(folder)


def theirs(folder: Path) -> list[bytes]:
    return [each.read_bytes() for each in folder.glob("fetch-*") if ".lease" not in each.name]


@pytest.mark.parametrize(
    ("first", "is_packed"),
    [
        pytest.param(0, False, id="before it begins"),
        pytest.param(4 * PART, False, id="changed meanwhile"),
        pytest.param(4 * PART, True, id="refused"),
    ],
)
def test_its_successors_files_stay(
    volume: Volume,
    server: Server,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    is_packed: bool,
) -> None:
    # What it lists by then is told below; at the very same moment it may yet do so.
    monkeypatch.setattr(Ledger, "start", lambda self: None)
    body = images.qcow2.read_bytes()
    ranged = Ranged(gzip.compress(body, 1) if is_packed else body)

    def overtaken(reply: Reply, start: int, end: int) -> Reply:
        if start == first:
            take_over(volume.path)
            if not is_packed:
                ranged.etag = '"two"'
        return reply

    ranged.spoil = overtaken
    server.replies["/disk.qcow2"] = ranged
    with pytest.raises(Busy, match="was taken over by"):
        volume.ensure(server.url("/disk.qcow2"), IMG_CHECKSUM="sha256:" + "0" * 64)
    assert theirs(volume.path) == [THEIRS, THEIRS]


def test_its_successors_files_stay_when_all_is_done(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    after(monkeypatch, adoption, "adopt", lambda: take_over(volume.path))
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    assert volume.ensure(server.url("/disk.qcow2")).digest == images.digest
    assert theirs(volume.path) == [THEIRS, THEIRS]


def test_it_goes_on_with_nothing(tmp_path: Path) -> None:
    pinned, answers = Pinned(PART, '"one"'), [None] * 2

    def check() -> None:
        if not answers:
            raise Busy("taken over")
        answers.pop()

    with kept(tmp_path, "http://x/", continue_in_place=False, check=check) as files:
        os.close(files.begin(pinned))
        before = files.data.stat().st_ino
        files.write(Listing(files.address, pinned, PART, before, ()))
        listing = files.read()
        assert listing is not None
        for allowed in (1, 0):  # while it copies, and before
            answers[:] = [None] * allowed
            with pytest.raises(Busy):
                files.resume(listing)
            assert files.data.stat().st_ino == before
        with pytest.raises(Busy):
            files.begin(pinned)
        with pytest.raises(Busy):
            files.write(listing._replace(done=(0,)))
        assert files.read() == listing
    assert files.read() == listing


def before(
    patch: pytest.MonkeyPatch, module: ModuleType, name: str, act: Callable[[], None]
) -> None:
    real = getattr(module, name)

    def acting(*args: object, **named: object) -> object:
        act()
        return real(*args, **named)

    patch.setattr(module, name, acting)


def after(
    patch: pytest.MonkeyPatch, module: ModuleType, name: str, act: Callable[[], None]
) -> None:
    real = getattr(module, name)

    def acting(*args: object, **named: object) -> object:
        result = real(*args, **named)
        act()
        return result

    patch.setattr(module, name, acting)


@pytest.mark.parametrize(
    ("kind", "module", "step"),
    [
        ("qcow2", qemu_img, "check"),
        ("qcow2", adoption, "adopt"),
        ("raw", qemu_img, "convert"),
        ("vmdk", foreign, "unfold"),
    ],
)
def test_what_was_fetched_becomes_the_base(
    volume: Volume,
    server: Server,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    module: ModuleType,
    step: str,
) -> None:
    image = tmp_path / "image"
    run_qemu_img("convert", "-f", "raw", "-O", kind, images.raw, image)
    before(monkeypatch, module, step, lambda: put_theirs(volume.path))
    server.replies["/disk"] = Ranged(image.read_bytes())
    base = volume.ensure(server.url("/disk"))
    assert disk(base.path) == images.raw.read_bytes()


def test_what_was_replaced_before_it_had_a_name_of_its_own(
    volume: Volume, server: Server, images: Images
) -> None:
    ranged = Ranged(images.qcow2.read_bytes())

    def replaced(reply: Reply, start: int, end: int) -> Reply:
        if start == 4 * PART:
            put_theirs(volume.path)
        return reply

    ranged.spoil = replaced
    server.replies["/disk.qcow2"] = ranged
    with pytest.raises(StorageError, match="was removed by somebody else"):
        volume.ensure(server.url("/disk.qcow2"))
    assert list(volume.path.glob("sha256-*")) == []


def test_where_files_have_one_name(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: object, **named: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refused)
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    assert volume.ensure(server.url("/disk.qcow2")).digest == images.digest
    assert [each for each in volume.names() if each.startswith("fetch-")] == []


def test_on_fuse(volume: Volume, server: Server, images: Images, tmp_path: Path) -> None:
    with mounted(volume.path, tmp_path / "fuse") as place:
        server.replies["/disk.img"] = Ranged(images.raw.read_bytes())
        base = Volume(place).ensure(server.url("/disk.img"))
        assert disk(base.path) == images.raw.read_bytes()


def test_the_space_of_what_was_unfolded_is_given_back(
    volume: Volume,
    server: Server,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    image = tmp_path / "image"
    run_qemu_img("convert", "-f", "raw", "-O", "vmdk", images.raw, image)
    found: list[int] = []

    def look() -> None:
        found.extend(
            each.stat().st_size for each in volume.path.glob("fetch-*.part") if each.is_file()
        )

    before(monkeypatch, qemu_img, "convert", look)
    server.replies["/disk"] = Ranged(image.read_bytes())
    volume.ensure(server.url("/disk"))
    assert set(found) == {0}
