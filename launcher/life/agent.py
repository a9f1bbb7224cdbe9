"""The guest agent, spoken to over its virtio port's socket."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from launcher.host.errors import LauncherError

# A client may come upon the rest of an earlier answer; what follows this byte is fresh (QEMU,
# docs/interop/qemu-ga-ref: guest-sync-delimited).
FRESH = b"\xff"

# What reading an answer ends with that is none of an agent's.
NONSENSE = (EOFError, ValueError, RecursionError, asyncio.LimitOverrunError)


async def shut_down(socket: Path, timeout: float) -> bool:
    """Ask the agent to power the guest off. True if an agent is there and took the order.

    An agent that is not there never answers, so it is first asked to show itself, within
    `timeout` seconds. The order itself is answered only when it is refused, for which the agent
    has the rest of that time. Whatever else the guest says at its end of the port means no.
    """
    ordered = False
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                if not await _is_there(reader, writer):
                    return False
                order = {"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}
                writer.write(json.dumps(order).encode() + b"\n")
                await writer.drain()
                ordered = True
                answer = await reader.readline()
                return b'"error"' not in answer
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ordered
    except NONSENSE:
        return False


async def answers(socket: Path, timeout: float) -> bool:
    """Whether an agent is there and shows itself within `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                return await _is_there(reader, writer)
            finally:
                writer.close()
    except (OSError, TimeoutError, *NONSENSE):
        return False


async def execute(socket: Path, command: str, timeout: float) -> Any:
    """What the agent's `command` returns.

    :raise LauncherError: when it refuses, or does not answer within `timeout` seconds. Then it may
        still come to it later.
    """
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                if not await _is_there(reader, writer):
                    raise LauncherError("the guest agent does not answer")
                writer.write(json.dumps({"execute": command}).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
    except TimeoutError as err:
        raise LauncherError(f"the guest agent did not answer {command} in {timeout:g} s") from err
    except (OSError, *NONSENSE) as err:
        raise LauncherError(f"the guest agent did not answer {command}: {err!r}") from err
    if not isinstance(answer, dict) or "return" not in answer:
        raise LauncherError(f"the guest agent refuses {command}: {str(answer)[:200]}")
    return answer["return"]


async def _is_there(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    number = int.from_bytes(os.urandom(4))
    sync = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
    writer.write(FRESH + json.dumps(sync).encode() + b"\n")
    await writer.drain()
    # One that was asked before, and gave up, may have left its answer in the channel.
    while True:
        await reader.readuntil(FRESH)
        answer = json.loads(await reader.readline())
        if isinstance(answer, dict) and answer.get("return") == number:
            return True
