"""The guest's file systems brought to rest for a moment, where an agent in the guest does that."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from launcher.host.errors import LauncherError
from launcher.life import agent

logger = logging.getLogger("startvm")

# Seconds. An agent that is there answers at once; freezing waits for what is being written.
AGENT_ANSWER = 2.0
FREEZING = 5.0
THAWING = 5.0
# Agents have been seen to lose a command (Windows, while a freeze that took too long is undone).
THAWS = 3


@asynccontextmanager
async def at_rest(socket: Path) -> AsyncIterator[str]:
    """Freeze the guest's file systems while the context lasts, if its agent can.

    Yields why they are not frozen; empty if they are. Whatever happens, an agent that was told to
    freeze is told to thaw, also one that never said that it did: its thaw then comes right after.
    """
    if not await agent.answers(socket, AGENT_ANSWER):
        yield "no guest agent answers"
        return
    try:
        yield await _freeze(socket)
    finally:
        await _thaw(socket)


async def _freeze(socket: Path) -> str:
    try:
        count = await agent.execute(socket, "guest-fsfreeze-freeze", FREEZING)
    except LauncherError as err:
        return err.message
    return "" if isinstance(count, int) and count > 0 else "the guest agent froze nothing"


async def _thaw(socket: Path) -> None:
    for _ in range(THAWS):
        try:
            await agent.execute(socket, "guest-fsfreeze-thaw", THAWING)
        except LauncherError as err:
            logger.warning("%s", err)
            await asyncio.sleep(0)
        else:
            return
    logger.error(
        "the guest's file systems may still be frozen: its agent does not say that they are not"
    )
