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
# Seconds in which others may speak to the agent, before it is told once more.
PAUSE = 2.0


class Freezer:
    """`agent_is_free`: held while the guest's agent is spoken to."""

    def __init__(self, socket: Path, agent_is_free: asyncio.Lock) -> None:
        self._socket = socket
        self._agent_is_free = agent_is_free
        self._is_owed = asyncio.Event()

    @asynccontextmanager
    async def at_rest(self) -> AsyncIterator[str]:
        """Freeze the guest's file systems while the context lasts, if its agent can.

        Yields why they are not frozen; empty if they are. Whatever happens, an agent that was told
        to freeze is told to thaw, also one that never said that it did: its thaw then comes right
        after, or is left to `watch`.
        """
        async with self._agent_is_free:
            if not await agent.answers(self._socket, AGENT_ANSWER):
                yield "no guest agent answers"
                return
            try:
                yield await self._freeze()
            finally:
                await self._thaw()

    async def watch(self) -> None:
        """Thaw a guest that `at_rest` had to leave, until QEMU ends. While an agent freezes it
        hears nothing, and that may take minutes: what is written meanwhile has to reach the disk,
        which may be full."""
        while True:
            await self._is_owed.wait()
            async with self._agent_is_free:
                error = await self._tell()
            if error:
                logger.debug("%s", error)
                await asyncio.sleep(PAUSE)
            else:
                self._is_owed.clear()
                logger.info("the guest's file systems are not frozen any more")

    async def _freeze(self) -> str:
        try:
            count = await agent.execute(self._socket, "guest-fsfreeze-freeze", FREEZING)
        except LauncherError as err:
            return err.message
        return "" if isinstance(count, int) and count > 0 else "the guest agent froze nothing"

    async def _thaw(self) -> None:
        for _ in range(THAWS):
            error = await self._tell()
            if not error:
                return
            logger.warning("%s", error)
            await asyncio.sleep(0)
        logger.error(
            "the guest's file systems may still be frozen: its agent does not say that they are "
            "not, and is told to thaw them until it does"
        )
        self._is_owed.set()

    async def _tell(self) -> str:
        """Tell the agent to thaw. Returns why that may have been in vain; empty if it was not."""
        try:
            await agent.execute(self._socket, "guest-fsfreeze-thaw", THAWING)
        except LauncherError as err:
            return err.message
        return ""
