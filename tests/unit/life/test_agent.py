"""Asking the guest agent, or whatever the guest has at the other end of its port."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.life.agent import shut_down
from tests.unit.life import clock

Answer = Callable[[dict[str, Any]], bytes]

# More than a StreamReader keeps.
FLOOD = b"x" * 200_000


class Port:
    """QEMU's end of the agent's port, and behind it a guest that answers by `answer`.

    `stale` is what the guest had said before anybody asked. `asked` has the names of commands.
    """

    def __init__(self, path: Path, answer: Answer, stale: bytes = b"") -> None:
        self.path, self.answer, self.stale = path, answer, stale
        self.asked: list[str] = []
        self.arguments: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.stale)
            while line := await reader.readline():
                command = json.loads(line.removeprefix(b"\xff"))
                self.asked.append(command["execute"])
                self.arguments.append(command.get("arguments", {}))
                writer.write(self.answer(command))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def ask(self) -> tuple[bool, float]:
        """What comes of it, and after how many seconds of at most one."""
        async with await asyncio.start_unix_server(self.serve, self.path):
            begun = asyncio.get_running_loop().time()
            taken = await shut_down(self.path, timeout=1)
            return taken, asyncio.get_running_loop().time() - begun


def says(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def good(command: dict[str, Any]) -> bytes:
    """As qemu-ga answers: a sync with its number, a shutdown that succeeds not at all."""
    if command["execute"] == "guest-sync-delimited":
        return b"\xff" + says({"return": command["arguments"]["id"]})
    return b""


def refusing(command: dict[str, Any]) -> bytes:
    error = says({"error": {"class": "CommandNotFound", "desc": "disabled"}})
    return error if command["execute"] == "guest-shutdown" else good(command)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent"


def test_agent_takes_the_order(path: Path) -> None:
    port = Port(path, good)
    # Silence is its consent.
    assert clock.run(port.ask()) == (True, 1)
    assert port.asked == ["guest-sync-delimited", "guest-shutdown"]
    assert port.arguments[1] == {"mode": "powerdown"}


def test_agent_that_refuses_is_no_help(path: Path) -> None:
    # The button need not wait.
    assert clock.run(Port(path, refusing).ask()) == (False, 0)


def test_agent_that_goes_with_its_guest_took_the_order(path: Path) -> None:
    class Ending(Port):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            command = json.loads((await reader.readline()).removeprefix(b"\xff"))
            writer.write(good(command))
            await reader.readline()
            writer.close()

    assert clock.run(Ending(path, good).ask()) == (True, 0)


def test_rest_of_an_earlier_answer_is_passed_over(path: Path) -> None:
    stale = says({"return": {}}) + b'{"half a'
    assert clock.run(Port(path, good, stale).ask()) == (True, 1)


def test_agent_that_is_not_there_never_answers(path: Path) -> None:
    port = Port(path, lambda _: b"")
    assert clock.run(port.ask()) == (False, 1)
    assert port.asked == ["guest-sync-delimited"]


def test_agents_own_parser_is_freed_of_an_earlier_half_command(path: Path) -> None:
    class Picky(Port):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert (await reader.readexactly(1)) == b"\xff"
            await super().serve(reader, writer)

    assert clock.run(Picky(path, good).ask()) == (True, 1)


def test_port_that_closes_instead_of_answering(path: Path) -> None:
    class Closing(Port):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.close()

    assert clock.run(Closing(path, good).ask()) == (False, 0)


def test_no_port(path: Path) -> None:
    assert not clock.run(shut_down(path, 1))


def test_port_that_nobody_serves(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    assert not clock.run(shut_down(path, 1))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\xff" + says({"return": -1}),
        b"\xff" + says({"error": {"desc": "no such command"}}),
        b"\xff" + says([1, 2]),
        b"\xff" + says("return"),
        b"\xff" + says(None),
        b"\xffnot json\n",
        b"\xff\xfe\xfd\n",
        b"\xff" + b"[" * 50_000 + b"\n",
        b"\xff" + FLOOD + b"\n",
        FLOOD,
        b"\n" * 1000,
    ],
    ids=lambda nonsense: repr(nonsense[:16]),
)
def test_guest_that_talks_nonsense_is_not_given_the_order(path: Path, nonsense: bytes) -> None:
    # The guest is nobody to be trusted: nothing it says may cost it its shutdown.
    port = Port(path, lambda _: nonsense)
    taken, _ = clock.run(port.ask())
    assert not taken
    assert "guest-shutdown" not in port.asked
