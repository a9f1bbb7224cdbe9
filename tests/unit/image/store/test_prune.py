"""Bases are removed while others start: each step at which somebody may come or a prune may die."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.host.errors import Busy
from launcher.image.base import Base
from launcher.image.store import bases, hiding, prune, references
from launcher.image.store.references import Reference
from tests.unit.image.conftest import Volume

PET = Reference("", "uuid", "web-0")


class Killed(BaseException):
    """What a prune that is killed would leave is looked at then."""


def steps_of(
    monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], None]
) -> Callable[[], int]:
    """Do `act` before the change number `at` of the file system; how many there were."""
    count = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def change(*args: object, **more: object) -> object:
            nonlocal count
            count += 1
            if count - 1 == at:
                act()
            return real(*args, **more)

        return change

    for owner, name in ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (os, "link")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return lambda: count


def two(volume: Volume) -> tuple[str, str]:
    """Two bases; the second one has a pet."""
    one = volume.adopt()
    other = volume.adopt(b"another", IMG_TARGET="other", IMG_SOURCE="https://example.org/other")
    references.write(volume.path, PET._replace(digest=other.digest))
    return one.digest, other.digest


def test_a_base_goes_with_all_that_belongs_to_it(volume: Volume) -> None:
    one, other = two(volume)
    volume.adopt(IMG_SOURCE="https://example.net/second-name")
    references.folder(volume.path, one).mkdir()
    assert prune.base(volume.path, one)
    assert volume.names() == sorted(
        ["other", f"sha256-{other}.json", f"sha256-{other}.pets", f"sha256-{other}.qcow2"]
    )


def test_somebody_else_removes_its_name_meanwhile(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two(volume)

    def gone(path: Path) -> Path:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "readlink", gone)
    assert prune.base(volume.path, one)


def test_a_base_that_is_needed_stays(volume: Volume) -> None:
    _, other = two(volume)
    before = volume.names()
    assert not prune.base(volume.path, other)
    assert volume.names() == before
    assert bases.load(volume.path, other)


# Hiding the record, looking for references, hiding the base, looking again, and removing the two.
STEPS = 6


@pytest.mark.parametrize("at", range(STEPS))
def test_somebody_who_needs_it_comes_at_any_step(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """It writes its reference and looks then. If it sees the base, the base stays."""
    base = volume.adopt()
    reference = PET._replace(digest=base.digest)
    saw = False

    def comes() -> None:
        nonlocal saw
        with monkeypatch.context() as patch:
            patch.undo()
        references.write(volume.path, reference)
        saw = bases.is_there(volume.path, base.digest)

    steps_of(monkeypatch, at, comes)
    removed = prune.base(volume.path, base.digest)
    monkeypatch.undo()
    there = bases.is_there(volume.path, base.digest)
    assert references.is_there(volume.path, reference)
    assert not (saw and not there)
    assert removed == (not there)
    assert saw == (at == 0), "hidden from the first step on"
    assert there == (at < 4), "put back if somebody came before the last look for references"
    assert not [each for each in volume.names() if each.endswith(".pruned")]


@pytest.mark.parametrize("at", range(STEPS))
def test_a_prune_that_dies_at_any_step(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    base = volume.adopt()

    def dies() -> None:
        raise Killed

    steps_of(monkeypatch, at, dies)
    with pytest.raises(Killed):
        prune.base(volume.path, base.digest)
    monkeypatch.undo()
    hiding.recover(volume.path, dead=-1)
    assert not [each for each in volume.names() if each.endswith(".pruned")]
    if at < 5:
        assert bases.load(volume.path, base.digest) == base
        assert bases.find(volume.settings()) == base
    else:
        assert bases.load(volume.path, base.digest) is None
        assert volume.names() == ["disk.qcow2"]
    assert volume.adopt() == base, "and it can be fetched again"
    assert bases.find(volume.settings()) == base


@pytest.mark.parametrize("at", range(STEPS))
def test_somebody_puts_it_back_at_any_step(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """A start cannot know whether the prune that hid it lives."""
    base = volume.adopt()
    steps_of(monkeypatch, at, lambda: hiding.recover(volume.path, dead=-1))
    prune.base(volume.path, base.digest)
    monkeypatch.undo()
    hiding.recover(volume.path, dead=-1)
    assert not [each for each in volume.names() if each.endswith(".pruned")]
    found = bases.find(volume.settings())
    assert found == (base if base.path.exists() else None)
    assert volume.adopt() == base


@pytest.mark.parametrize("at", range(STEPS))
def test_somebody_fetches_it_again_at_any_step(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    base = volume.adopt()
    saw = False

    def fetches() -> None:
        nonlocal saw
        monkeypatch.undo()
        volume.adopt()
        references.write(volume.path, PET._replace(digest=base.digest))
        saw = bases.is_there(volume.path, base.digest)

    steps_of(monkeypatch, at, fetches)
    prune.base(volume.path, base.digest)
    assert saw
    assert bases.load(volume.path, base.digest)


def test_a_base_that_is_put_in_place_and_taken_away_at_once(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def taken(old: Path, new: Path) -> None:
        link(old, new)
        monkeypatch.setattr(os, "link", link)
        assert prune.base(volume.path, new.stem.removeprefix("sha256-"))

    monkeypatch.setattr(os, "link", taken)
    base = volume.adopt()
    assert bases.find(volume.settings()) == base


def link(*args: object, **more: object) -> None:
    """As on SMB, and on many a FUSE file system."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_base_without_hard_links_that_is_taken_away_at_once(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched is gone, then."""
    rename = Path.rename

    def taken(old: Path, new: Path) -> None:
        rename(old, new)
        monkeypatch.setattr(Path, "rename", rename)
        assert prune.base(volume.path, new.stem.removeprefix("sha256-"))

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(Path, "rename", taken)
    with pytest.raises(Busy, match=r"removed as soon as it was there.*is fetched again"):
        volume.adopt()
    assert volume.names() == []
    base = volume.adopt()
    assert bases.find(volume.settings()) == base


def test_what_is_put_back_without_hard_links_replaces_nothing(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody fetches the base again at the last moment."""
    monkeypatch.setattr(os, "link", link)
    base = volume.adopt()
    aside = base.path.with_name(base.path.name + hiding.draw())
    base.path.rename(aside)
    os.utime(aside, (1, 1))
    real = os.path.lexists, Path.touch
    done: list[Base] = []

    def fetched() -> None:
        if not done:
            done.append(base)
            done.append(volume.adopt())

    def exists(path: Path) -> bool:
        there = real[0](path)
        fetched()
        return there

    def touch(path: Path, mode: int = 0o666, exist_ok: bool = True) -> None:
        fetched()
        real[1](path, mode, exist_ok)

    monkeypatch.setattr(os.path, "lexists", exists)
    monkeypatch.setattr(Path, "touch", touch)
    hiding.put_back(aside, base.path)
    assert len(done) == 2
    assert bases.load(volume.path, base.digest) == base
    assert not aside.exists()


def test_a_name_that_is_held_for_a_base_without_hard_links(volume: Volume) -> None:
    base = volume.adopt()
    base.path.with_suffix(".json").unlink()
    base.path.chmod(0o644)
    base.path.write_bytes(b"")
    with pytest.raises(Busy, match=r"is just being put in place.*`berth images prune --now`"):
        volume.adopt()


def test_a_volume_without_hard_links(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", link)
    base = volume.adopt()
    rmdir = Path.rmdir

    def needed(self: Path) -> None:
        monkeypatch.setattr(Path, "rmdir", rmdir)
        references.write(volume.path, PET._replace(digest=base.digest))
        rmdir(self)

    monkeypatch.setattr(Path, "rmdir", needed)
    assert not prune.base(volume.path, base.digest)
    assert bases.load(volume.path, base.digest) == base


def test_a_name_whose_base_came_back_stays(volume: Volume) -> None:
    volume.adopt()
    link = volume.path / "disk.qcow2"
    assert not prune.name(link)
    assert bases.find(volume.settings())
    for each in volume.path.glob("sha256-*"):
        each.unlink()
    assert prune.name(link)
    assert volume.names() == []


def test_what_a_prune_that_may_live_has_hidden_is_left_to_it(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = volume.adopt()

    def dies() -> None:
        raise Killed

    steps_of(monkeypatch, 3, dies)
    with pytest.raises(Killed):
        prune.base(volume.path, base.digest)
    monkeypatch.undo()
    before = volume.names()
    hiding.recover(volume.path)
    assert volume.names() == before
    later = time.time() + hiding.DEAD + 5
    monkeypatch.setattr(time, "time", lambda: later)
    hiding.recover(volume.path)
    assert bases.find(volume.settings())


def test_what_is_not_ours_is_left_alone(volume: Volume) -> None:
    for name in ("web-0.pruned", "sha256-x.qcow2.0123456789abcdef.pruned", "x.json.pruned"):
        (volume.path / name).touch()
    before = volume.names()
    hiding.recover(volume.path, dead=-1)
    assert volume.names() == before
    hiding.recover(volume.path / "nowhere", dead=-1)
