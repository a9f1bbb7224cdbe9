"""The control socket, between a client and a supervisor that watches a QEMU of our own."""

import asyncio
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from launcher.host.errors import InputMissing, LauncherError
from launcher.host.unix import BACKLOG, listening
from launcher.life import control, probe, state
from launcher.life.control import Line, Silent
from launcher.life.service import Service
from launcher.life.state import Phase
from tests.storage.lives import GUEST_OFF, RUNS, Life, Step, signals_restored

T = TypeVar("T")

PATIENCE = 30.0
# A guest that runs until it is told, by its power button, that the test has seen enough.
RUNNING: list[Step] = [RUNS]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with signals_restored():
        state.write(tmp_path, Phase.STARTING)
        yield Life(tmp_path)


def beside(life: Life, look: Callable[[], T], **script: list[Step]) -> T:
    """What `look` returns while the VM runs; the VM ends after it."""
    seen: list[T] = []
    failed: list[BaseException] = []

    def watch() -> None:
        try:
            wait_for(lambda: state.read(life.run_dir), Phase.RUNNING)
            seen.append(look())
        except BaseException as err:
            failed.append(err)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch)

    def prepare() -> Sequence[Service]:
        thread.start()
        return ()

    life.live(prepare, PATIENCE, **{"cont": RUNNING, "system_powerdown": GUEST_OFF, **script})
    thread.join(PATIENCE)
    if failed:
        raise failed[0]
    return seen[0]


def wait_for(read: Callable[[], state.State | None], phase: Phase) -> None:
    deadline = time.monotonic() + PATIENCE
    while (found := read()) is None or found.phase is not phase:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


STATUS: list[Step] = [["return", {"status": "running", "running": True}]]


def ask(life: Life, command: str, **arguments: object) -> Any:
    with Line(life.run_dir, PATIENCE) as line:
        return line.ask(command, **arguments)


def test_status(life: Life) -> None:
    script = {"query-status": STATUS}
    told = beside(life, lambda: ask(life, "status"), **script)
    assert (told["phase"], told["qemu"], told["agent"]) == ("running", "running", None)


def test_an_agent_that_is_not_there(life: Life) -> None:
    script = {"query-status": STATUS}
    told = beside(life, lambda: ask(life, "status", agent=True), **script)
    assert told["agent"] is False


def test_qemu_that_hangs_is_asked_once(life: Life) -> None:
    def look() -> tuple[list[probe.Verdict], str]:
        assert life.qemu
        life.qemu.send(signal.SIGSTOP)
        silent = [probe.ask("alive", life.run_dir), probe.ask("ready", life.run_dir)]
        life.qemu.send(signal.SIGCONT)
        return silent, ask(life, "status")["qemu"]

    silent, status = beside(life, look, **{"query-status": [*STATUS, life.note("asked ")]})
    assert silent == [(False, "QEMU's monitor does not answer")] * 2
    assert status == "running"
    # Its first question may still be the last one's, too.
    assert life.notes.read_text() in ("asked ", "asked asked ")


@pytest.mark.parametrize(
    "request_",
    [b'{"command": "explode"}\n', b"[]\n", b"nonsense\n", b"\xff\n", b"[" * 9000 + b"\n"],
)
def test_what_is_not_understood_is_refused_and_harms_nobody(life: Life, request_: bytes) -> None:
    def look() -> tuple[bytes, Any]:
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(PATIENCE)
            end.connect(str(control.path(life.run_dir)))
            end.sendall(request_)
            answer = end.makefile("rb").readline()
        return answer, ask(life, "status")["phase"]

    answer, phase = beside(life, look, **{"query-status": STATUS})
    assert b'"error"' in answer
    assert phase == "running"


def test_its_error_is_told(life: Life) -> None:
    def look() -> str:
        with pytest.raises(LauncherError) as caught:
            ask(life, "explode")
        return str(caught.value)

    assert "the request is not understood" in beside(life, look)


def test_clients_that_only_look_are_no_trouble(life: Life) -> None:
    def look() -> Any:
        for _ in range(50):
            with Line(life.run_dir, PATIENCE):
                pass
        return ask(life, "status")["phase"]

    assert beside(life, look, **{"query-status": STATUS}) == "running"


def test_a_queue_that_is_full_has_an_owner(tmp_path: Path) -> None:
    """While an image is fetched nobody takes those who look, for an hour maybe."""
    state.write(tmp_path, Phase.STARTING, "fetching")
    with listening(control.path(tmp_path)):
        for _ in range(3 * BACKLOG):
            assert probe.ask("alive", tmp_path) == (True, "starting: fetching")
        with Line(tmp_path, 0.1) as line, pytest.raises(Silent, match="does not answer in time"):
            line.ask("status")
    assert probe.ask("alive", tmp_path).is_yes is False


def test_nobody_is_there(tmp_path: Path) -> None:
    state.write(tmp_path, Phase.RUNNING)
    with pytest.raises(InputMissing, match="startvm does not run here"):
        Line(tmp_path, PATIENCE)
    for question in probe.QUESTIONS:
        assert probe.ask(question, tmp_path).text.startswith("startvm does not run here: ")


def test_it_is_nobody_elses_and_its_name_goes(tmp_path: Path) -> None:
    path = control.path(tmp_path)
    path.write_text("left by a launcher that was killed")
    with listening(path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


# Turns of the event loop between a client that connects and the end; one takes no more than six.
@pytest.mark.parametrize("turns", range(10))
def test_who_comes_at_the_last_moment_is_let_go(tmp_path: Path, turns: int) -> None:
    """A connection that nobody closes is told by the warning that Python makes of it."""

    async def serving() -> None:
        with listening(control.path(tmp_path)) as door, socket.socket(socket.AF_UNIX) as client:
            server = asyncio.ensure_future(control.serve(door, {}))
            await asyncio.sleep(0)
            client.connect(str(control.path(tmp_path)))
            for _ in range(turns):
                await asyncio.sleep(0)
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    asyncio.run(serving())
    gc.collect()
