"""A guest's file systems are frozen for a moment, and thawed whatever happens."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from launcher.life import freeze
from launcher.life.freeze import FREEZING, THAWING, THAWS, at_rest
from tests.unit.life import clock
from tests.unit.life.test_agent import Answer, Port, good, says

SYNC, FREEZE, THAW = "guest-sync-delimited", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"
WORK = "the work"


def able(command: dict[str, Any]) -> bytes:
    """An agent in a guest with two file systems."""
    return good(command) or says({"return": 2})


def refusing(command: dict[str, Any]) -> bytes:
    error = says({"error": {"class": "GenericError", "desc": "hook failed"}})
    return error if command["execute"] == FREEZE else able(command)


def slow(command: dict[str, Any]) -> bytes:
    return b"" if command["execute"] == FREEZE else able(command)


def silent_about_thaw(command: dict[str, Any]) -> bytes:
    return b"" if command["execute"] == THAW else able(command)


def nothing_to_freeze(command: dict[str, Any]) -> bytes:
    return good(command) or says({"return": 0})


class Frozen:
    """What was seen of one freeze."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.port = Port(path, answer)
        self.unfrozen = "never said"
        self.seconds = 0.0

    async def run(self, work: BaseException | None = None) -> None:
        async with await asyncio.start_unix_server(self.port.serve, self.port.path):
            begun = asyncio.get_running_loop().time()
            try:
                async with at_rest(self.port.path) as self.unfrozen:
                    self.port.asked.append(WORK)
                    if work:
                        raise work
            finally:
                self.seconds = asyncio.get_running_loop().time() - begun

    @property
    def order(self) -> list[str]:
        return [each for each in self.port.asked if each != SYNC]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent"


def test_guest_is_frozen_during_the_work_only(path: Path) -> None:
    seen = Frozen(path, able)
    clock.run(seen.run())
    assert (seen.unfrozen, seen.order) == ("", [FREEZE, WORK, THAW])


def test_guest_is_thawed_after_an_error(path: Path) -> None:
    seen = Frozen(path, able)
    with pytest.raises(RuntimeError):
        clock.run(seen.run(RuntimeError()))
    assert seen.order == [FREEZE, WORK, THAW]


def test_no_agent_is_told_nothing(path: Path) -> None:
    seen = Frozen(path, lambda _: b"")
    clock.run(seen.run())
    assert (seen.unfrozen, seen.order) == ("no guest agent answers", [WORK])
    assert seen.seconds == freeze.AGENT_ANSWER


@pytest.mark.parametrize(
    ("answer", "words", "seconds"),
    [
        (refusing, "refuses guest-fsfreeze-freeze: {'error'", 0),
        (slow, "did not answer guest-fsfreeze-freeze in 5 s", FREEZING),
        (nothing_to_freeze, "the guest agent froze nothing", 0),
    ],
)
def test_guest_that_may_be_half_frozen_is_thawed(
    path: Path, answer: Answer, words: str, seconds: float
) -> None:
    seen = Frozen(path, answer)
    clock.run(seen.run())
    assert words in seen.unfrozen
    assert (seen.order, seen.seconds) == ([FREEZE, WORK, THAW], seconds)


def test_thaw_is_said_again_until_it_is_heard(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen = Frozen(path, silent_about_thaw)
    clock.run(seen.run())
    assert seen.order == [FREEZE, WORK, *[THAW] * THAWS]
    assert seen.seconds == THAWS * THAWING
    assert "may still be frozen" in caplog.text
