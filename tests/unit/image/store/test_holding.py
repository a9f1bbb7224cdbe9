"""Leases as they are taken, lost and ended, on a temporary folder."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from launcher.host.errors import Busy, ImageRefused, InputMissing, LauncherError, SourceUnavailable
from launcher.image.store import holding, lease_files
from launcher.image.store.holding import Lease
from launcher.image.store.lease import SIZE, Claim, Kernel, Timing
from launcher.image.store.lease_files import Seen

KEY = "0" * 32
BOOT = "boot-1"
# No thread writes while a test looks.
TIMING = Timing(beat=3600)


class Folder:
    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack
        self._drawn = 0

    def names(self) -> list[str]:
        return sorted(each.name.replace(KEY, "K") for each in self.path.iterdir())

    def look(self) -> Seen:
        seen = lease_files.look(self.path, KEY, BOOT)
        assert seen
        return seen

    def try_to_take(
        self, after: Seen | None = None, *, sole: bool = True, holder: str = "web-0"
    ) -> Lease | None:
        self._drawn += 1
        claim = Claim(holder, str(self._drawn), Kernel(BOOT, 0), False, sole, "asked", "a source")
        held = holding.take(self.path, KEY, claim, after, TIMING)
        if held:
            self._stack.callback(held.end, "stopped", "", "")
        return held

    def take(self, after: Seen | None = None, *, sole: bool = True, holder: str = "web-0") -> Lease:
        held = self.try_to_take(after, sole=sole, holder=holder)
        assert held
        return held


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    with ExitStack() as stack:
        yield Folder(tmp_path, stack)


def test_it_is_taken_once(folder: Folder) -> None:
    folder.take()
    assert folder.try_to_take() is None
    assert folder.names() == ["fetch-K.lease-1"]
    seen = folder.look()
    assert seen.lock == "held"
    assert seen.claim
    assert seen.claim.locked
    assert seen.claim.kernel == seen.here == Kernel(BOOT, folder.path.stat().st_dev)
    assert (folder.path / f"fetch-{KEY}.lease-1").stat().st_size == SIZE


def test_the_next_one_removes_those_before_it(folder: Folder) -> None:
    folder.take()
    (folder.path / f"fetch-{KEY}.lease-1.followed").touch()
    (folder.path / f"fetch-{'1' * 32}.lease-1").touch()
    held = folder.take(folder.look())
    assert folder.names() == [f"fetch-{'1' * 32}.lease-1", "fetch-K.lease-2"]
    assert held.predecessor
    assert held.predecessor.id == "1"


def test_one_that_was_overtaken_is_told_by_whom(folder: Folder) -> None:
    first = folder.take()
    first.check()
    folder.take(folder.look(), holder="web-7")
    for act in (first.check, lambda: first.tell("downloading")):
        with pytest.raises(Busy, match="the fetch of a source was taken over by web-7"):
            act()


def test_one_that_was_overtaken_may_still_have_its_file(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = folder.take()
    monkeypatch.setattr(holding, "_remove", lambda *_: None)
    folder.take(folder.look())
    assert folder.names() == ["fetch-K.lease-1", "fetch-K.lease-2"]
    with pytest.raises(Busy):
        first.check()


def test_one_that_was_removed_is_no_more(folder: Folder) -> None:
    held = folder.take()
    (folder.path / f"fetch-{KEY}.lease-1").unlink()
    with pytest.raises(Busy):
        held.check()


def test_an_overtaken_one_leaves_the_others_alone(folder: Folder) -> None:
    """Also when all are gone, and numbers begin anew."""
    first = folder.take()
    second = folder.take(folder.look())
    second.end("ready", "", "")
    assert folder.names() == []
    third = folder.take()
    with pytest.raises(Busy):
        first.check()
    first.end("ready", "", "")
    assert folder.names() == ["fetch-K.lease-1"]
    third.check()


def test_none_is_put_above_one_that_lives(folder: Folder) -> None:
    """Who found a lease dead was slow: all is over by then, and a new fetch has begun."""
    old = folder.take()
    dead = folder.look()
    old.end("stopped", "", "")
    new = folder.take()
    assert folder.try_to_take(dead) is None
    assert folder.names() == ["fetch-K.lease-1"]
    new.check()


def test_a_first_one_that_comes_late_gives_way(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look and its making another one came, and a third one after that."""
    link = os.link

    def late(old: Path, new: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        folder.take()
        folder.take(folder.look(), holder="web-7")
        link(old, new)

    monkeypatch.setattr(os, "link", late)
    assert folder.try_to_take() is None
    assert folder.names() == ["fetch-K.lease-2"]
    assert folder.look().id == "3"


def test_a_volume_without_hard_links(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    held = folder.take()
    assert folder.try_to_take() is None
    seen = folder.look()
    assert (seen.lock, seen.id) == ("held", "1")
    held.check()
    folder.take(seen)
    assert folder.names() == ["fetch-K.lease-2"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_volume_without_locks(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    folder.take().check()
    seen = folder.look()
    assert seen.lock == "unknown"
    assert seen.claim
    assert not seen.claim.locked


def test_a_volume_whose_locks_keep_everybody_from_reading(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMB: only the descriptor that has the lock reads and writes; nor do others get a lock."""
    locked: dict[str, int] = {}
    pread, pwrite = os.pread, os.pwrite

    def place(fd: int) -> str:
        return str(os.fstat(fd).st_ino)

    def refuse(fd: int) -> None:
        if locked.get(place(fd), fd) != fd:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def flock(fd: int, how: int) -> None:
        refuse(fd)
        if how & fcntl.LOCK_UN:
            locked.pop(place(fd), None)
        else:
            locked[place(fd)] = fd

    def read(fd: int, size: int, offset: int) -> bytes:
        refuse(fd)
        return pread(fd, size, offset)

    def write(fd: int, data: bytes, offset: int) -> int:
        refuse(fd)
        return pwrite(fd, data, offset)

    monkeypatch.setattr("fcntl.flock", flock)
    monkeypatch.setattr(os, "pread", read)
    monkeypatch.setattr(os, "pwrite", write)
    held = folder.take()
    held.check()
    seen = folder.look()
    assert seen.claim
    assert (seen.lock, seen.claim.locked) == ("unknown", False)
    held.tell("downloading")
    held._write()
    # One of an older Berth.
    fd = held._fd
    locked[place(fd)] = fd
    seen = folder.look()
    assert (seen.lock, seen.claim) == ("held", None)
    locked.clear()


def test_a_file_without_a_record_is_nobodys_to_judge(folder: Folder) -> None:
    (folder.path / f"fetch-{KEY}.lease-4").touch()
    seen = folder.look()
    assert (seen.generation, seen.claim, seen.lock) == (4, None, "free")
    assert folder.try_to_take() is None, "it may be one that is just being written"
    folder.take(seen)
    assert folder.names() == ["fetch-K.lease-5"]


def end(folder: Folder, error: BaseException | None = None, *, sole: bool = True) -> None:
    held = folder.take(sole=sole)
    with suppress(Exception, KeyboardInterrupt), holding.holding(held):
        if error:
            raise error


def test_the_end_leaves_nothing(folder: Folder) -> None:
    for error in (None, ImageRefused("bad"), InputMissing("gone"), KeyboardInterrupt()):
        end(folder, error)
        assert folder.names() == []


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ImageRefused("bad", hint="another"), "refused"),
        (SourceUnavailable("404"), "unavailable"),
        (InputMissing("gone"), "failed"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_an_end_that_somebody_waits_for_is_kept(
    folder: Folder, error: BaseException, outcome: str
) -> None:
    (folder.path / f"fetch-{KEY}.lease-1.followed").touch()
    end(folder, error)
    seen = folder.look()
    assert seen.lock == "free"
    assert seen.claim
    assert seen.claim.outcome == outcome
    if isinstance(error, LauncherError):
        assert (seen.claim.message, seen.claim.hint) == (error.message, error.hint)


def test_a_base_that_is_ready_needs_no_words(folder: Folder) -> None:
    (folder.path / f"fetch-{KEY}.lease-1.followed").touch()
    end(folder)
    assert folder.names() == []


@pytest.mark.parametrize(("error", "outcome"), [(KeyboardInterrupt(), "stopped"), (None, "ready")])
def test_that_another_fetch_may_be_at_work_is_not_forgotten(
    folder: Folder, error: BaseException | None, outcome: str
) -> None:
    end(folder, error, sole=False)
    seen = folder.look()
    assert seen.claim
    assert (seen.claim.outcome, seen.claim.sole) == (outcome, False)
    assert not folder.take(seen, sole=False).continue_in_place
