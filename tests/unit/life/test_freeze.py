"""A guest's file systems are frozen for a moment, and thawed whatever happens."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from launcher.life import freeze
from launcher.life.freeze import FREEZING, PAUSE, THAWING, THAWS, Freezer
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
                async with Freezer(self.port.path, asyncio.Lock()).at_rest() as self.unfrozen:
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


class OneAtATime(Port):
    """An agent that freezes for `busy` seconds and hears nothing meanwhile, as qemu-ga does, which
    has one thread. What it was told waits for it."""

    def __init__(self, path: Path, busy: float) -> None:
        super().__init__(path, self.work)
        self.busy = busy
        self.hears = asyncio.Event()
        self.hears.set()
        self.changes: list[str] = []

    def work(self, command: dict[str, Any]) -> bytes:
        name = command["execute"]
        if name == FREEZE:
            self.hears.clear()
            asyncio.get_running_loop().call_later(self.busy, self.hears.set)
        self.changes += [name] if name in (FREEZE, THAW) else []
        return b"" if name == FREEZE else able(command)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = asyncio.StreamReader()
        answering = asyncio.ensure_future(super().serve(heard, writer))
        while line := await reader.readline():
            await self.hears.wait()
            heard.feed_data(line)
        heard.feed_eof()
        await answering


def test_guest_whose_freeze_took_too_long_is_thawed_in_the_end(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    port = OneAtATime(path, busy=600)

    async def freeze_and_wait() -> float:
        lock = asyncio.Lock()
        freezer = Freezer(path, lock)
        async with await asyncio.start_unix_server(port.serve, path):
            watch = asyncio.ensure_future(freezer.watch())
            async with freezer.at_rest() as unfrozen:
                assert "did not answer" in unfrozen
            loop = asyncio.get_running_loop()
            # Others get their turn with the agent meanwhile.
            async with asyncio.timeout(THAWING + PAUSE), lock:
                assert port.changes == [FREEZE]
            async with asyncio.timeout(700):
                while THAW not in port.changes or lock.locked():
                    await asyncio.sleep(1)
            # Once it is thawed it is left alone.
            before = len(port.asked)
            await asyncio.sleep(60)
            assert len(port.asked) == before
            watch.cancel()
            return loop.time()

    assert 600 <= clock.run(freeze_and_wait()) - 60 < 610 + PAUSE
    assert "not frozen any more" in caplog.text
