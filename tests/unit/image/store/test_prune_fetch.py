"""What fetches left is removed, unless one of them may be at work, or wake up."""

import os
from pathlib import Path

import pytest

from launcher.image.store import holding, lease_files, prune
from launcher.image.store.following import Clock
from launcher.image.store.holding import Lease
from launcher.image.store.lease import Claim, Kernel, Timing
from launcher.image.store.plan import ABANDONED

KEY = "0" * 32
TIMING = Timing(beat=3600, patience=30, poll=0.5)


class Still(Clock):
    """A clock that nobody waits for."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def hold(folder: Path, *, sole: bool = True) -> Lease:
    claim = Claim("web-0", "1", Kernel("boot-1", 0), False, sole, "asked", "a source")
    held = holding.take(folder, KEY, claim, lease_files.look(folder, KEY, "boot-1"), TIMING)
    assert held
    (folder / f"fetch-{KEY}.part").write_bytes(b"half")
    return held


def prunes(folder: Path, boot: str = "boot-1") -> bool:
    return prune.fetch(folder, KEY, timing=TIMING, boot=boot, clock=Still())


def aged(folder: Path) -> None:
    for each in folder.iterdir():
        status = each.stat()
        os.utime(each, (status.st_atime, status.st_mtime - ABANDONED - 60))


def names(folder: Path) -> list[str]:
    return sorted(each.name.replace(KEY, "K") for each in folder.iterdir())


def test_one_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    held = hold(tmp_path)
    aged(tmp_path)
    assert not prunes(tmp_path)
    assert names(tmp_path) == ["fetch-K.lease-1", "fetch-K.part"]
    held.end("stopped", "", "")


def test_one_that_is_silent_is_not_forgotten_before_a_day_is_over(tmp_path: Path) -> None:
    """It may wake up; the next fetch would write to the same files, for all that it knows."""
    held = hold(tmp_path)
    assert not prunes(tmp_path, "boot-2")
    assert names(tmp_path) == ["fetch-K.lease-1", "fetch-K.part"]
    aged(tmp_path)
    assert prunes(tmp_path, "boot-2")
    assert names(tmp_path) == []
    held.end("stopped", "", "")


@pytest.mark.parametrize("outcome", ["ready", "stopped"])
def test_one_that_ended_after_one_that_may_wake_up(tmp_path: Path, outcome: str) -> None:
    held = hold(tmp_path, sole=False)
    held.end("ready" if outcome == "ready" else "stopped", "", "")
    assert not prunes(tmp_path)
    assert names(tmp_path) == ["fetch-K.lease-1", "fetch-K.part"]
    aged(tmp_path)
    assert prunes(tmp_path)
    assert names(tmp_path) == []


def test_what_cannot_be_removed_does_not_keep_the_rest(tmp_path: Path) -> None:
    hold(tmp_path).end("stopped", "", "")
    (tmp_path / f"fetch-{KEY}.aaaaaaaa.part/folder").mkdir(parents=True)
    (tmp_path / f"fetch-{KEY}.json").touch()
    with pytest.raises(OSError, match="Is a directory"):
        prunes(tmp_path)
    assert names(tmp_path) == ["fetch-K.aaaaaaaa.part"]


def test_what_was_left_by_the_last_one(tmp_path: Path) -> None:
    hold(tmp_path).end("stopped", "", "")
    assert names(tmp_path) == ["fetch-K.part"]
    assert prunes(tmp_path)
    assert names(tmp_path) == []
