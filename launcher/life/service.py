"""A helper program that has to be there as long as the VM is."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from launcher.host.errors import LauncherError
from launcher.host.process import Child, spawn
from launcher.life.children import end_of, relay

logger = logging.getLogger("startvm")

# Seconds before it is started again, doubled each time; a run this long starts over.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
GOOD_RUN = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """A program that stays in the foreground. `child` is its first run, which is its owner's to
    end; `argv` starts it again."""

    child: Child
    argv: Sequence[str]


async def keep(service: Service) -> None:
    """Watch `service`, and start it again whenever it ends, until cancelled.

    The guest lives on without it for as long as its lease lasts, so its end is not the VM's.
    """
    loop = asyncio.get_running_loop()
    name, pause, begun = service.child.name, FIRST_PAUSE, loop.time()
    how = await _watch(service.child)
    while True:
        if loop.time() - begun > GOOD_RUN:
            pause = FIRST_PAUSE
        logger.error("%s %s; starting it again in %.1f s", name, how, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
        begun = loop.time()
        try:
            with spawn(name, service.argv, capture_stderr=True) as child:
                how = await _watch(child)
        except (LauncherError, OSError) as err:
            # Out of memory or of processes, say; that may pass.
            how = f"does not start: {err}"


async def _watch(child: Child) -> str:
    """Wait for the child's end, and tell how it was. What it says until then is for debugging."""
    words = asyncio.ensure_future(relay(child, logging.DEBUG))
    try:
        status = await end_of(child)
        said = await words
    finally:
        words.cancel()
    return f"ended with status {status}" + (f", saying {said[-1]!r}" if said else "")
