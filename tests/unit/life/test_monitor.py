"""QMP over a socket pair, with the other end in the test's hand."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from launcher.host.errors import LauncherError
from launcher.life.monitor import Monitor, MonitorLost, connect

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}, "capabilities": []}}


class Qemu:
    """The other end of the monitor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, message: dict[str, Any]) -> None:
        self.writer.write(json.dumps(message).encode() + b"\r\n")

    def event(self, name: str) -> None:
        self.say({"event": name, "timestamp": {"seconds": 1, "microseconds": 0}})

    async def hear(self) -> dict[str, Any]:
        # The client writes each command in one piece and waits for its answer.
        command: dict[str, Any] = json.loads(await self.reader.read(65536))
        return command

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[socket.socket, Qemu]]:
    ours, theirs = socket.socketpair()
    qemu = Qemu(*await asyncio.open_connection(sock=theirs))
    try:
        yield ours, qemu
    finally:
        await qemu.close()


async def greet(qemu: Qemu) -> None:
    qemu.say(GREETING)
    assert (await qemu.hear())["execute"] == "qmp_capabilities"
    qemu.say({"return": {}})


def with_monitor(story: Callable[[Monitor, Qemu], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with pair() as (ours, qemu):
            greeting = asyncio.ensure_future(greet(qemu))
            async with connect(ours) as monitor:
                await greeting
                await story(monitor, qemu)

    asyncio.run(tell())


async def answer(qemu: Qemu, message: dict[str, Any]) -> dict[str, Any]:
    command = await qemu.hear()
    qemu.say(message | {"id": command["id"]})
    return command


def test_command_and_its_answer() -> None:
    async def story(monitor: Monitor, qemu: Qemu) -> None:
        answering = asyncio.ensure_future(answer(qemu, {"return": {"running": True}}))
        assert await monitor.execute("query-status", {"a": 1}) == {"running": True}
        command = await answering
        assert (command["execute"], command["arguments"]) == ("query-status", {"a": 1})

    with_monitor(story)


def test_command_that_is_refused() -> None:
    async def story(monitor: Monitor, qemu: Qemu) -> None:
        error = {"error": {"class": "GenericError", "desc": "no space"}}
        answering = asyncio.ensure_future(answer(qemu, error))
        with pytest.raises(LauncherError, match="QEMU refuses cont: no space") as caught:
            await monitor.execute("cont")
        assert not isinstance(caught.value, MonitorLost)
        await answering

    with_monitor(story)


def test_qemu_that_ends_during_a_command() -> None:
    async def story(monitor: Monitor, qemu: Qemu) -> None:
        async def vanish() -> None:
            await qemu.hear()
            await qemu.close()

        vanishing = asyncio.ensure_future(vanish())
        with pytest.raises(MonitorLost, match="QEMU ended during quit"):
            await monitor.execute("quit")
        await vanishing

    with_monitor(story)


def test_command_to_a_qemu_that_has_ended() -> None:
    async def story(monitor: Monitor, qemu: Qemu) -> None:
        await qemu.close()
        assert [event async for event in monitor.events()] == []
        with pytest.raises(MonitorLost):
            await monitor.execute("quit")

    with_monitor(story)


def test_events_come_in_order_to_the_very_last() -> None:
    async def story(monitor: Monitor, qemu: Qemu) -> None:
        names = [f"EVENT{number}" for number in range(50)]
        for name in names:
            qemu.event(name)
        await qemu.close()
        assert [event["event"] async for event in monitor.events()] == names

    with_monitor(story)


def test_event_is_told_as_it_comes() -> None:
    async def story(monitor: Monitor, qemu: Qemu) -> None:
        events = monitor.events()
        for name in ("RESUME", "STOP"):
            qemu.event(name)
            assert (await anext(events))["event"] == name
        await qemu.close()
        assert [event async for event in events] == []

    with_monitor(story)


@pytest.mark.parametrize("last_words", [b"", b"half a greeting", b'{"QMP": 1}\r\n'])
def test_qemu_that_ends_before_it_greets(last_words: bytes) -> None:
    async def tell() -> None:
        async with pair() as (ours, qemu):
            qemu.writer.write(last_words)
            await qemu.close()
            with pytest.raises(MonitorLost):
                async with connect(ours):
                    pass
            assert ours.fileno() == -1

    asyncio.run(tell())
