"""A helper program that has to be there as long as the VM is."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from launcher.host.errors import LauncherError
from launcher.host.process import spawn
from launcher.life.children import end_of, relay

logger = logging.getLogger("startvm")

# Seconds before it is started again, doubled each time; a run this long starts over.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
GOOD_RUN = 30.0


@dataclass(frozen=True, slots=True)
class Service:
    """A program that stays in the foreground."""

    name: str
    argv: Sequence[str]


async def keep(service: Service) -> None:
    """Run `service`, and again whenever it ends, until cancelled.

    The guest lives on without it for as long as its lease lasts, so its end is not the VM's.
    """
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while True:
        begun = loop.time()
        try:
            with spawn(service.name, service.argv, capture_stderr=True) as child:
                words = asyncio.ensure_future(relay(child))
                try:
                    status = await end_of(child)
                    await words
                finally:
                    words.cancel()
        except LauncherError as err:
            logger.error("%s does not start: %s", service.name, err)
        else:
            logger.error("%s ended with status %d", service.name, status)
        pause = FIRST_PAUSE if loop.time() - begun > GOOD_RUN else min(pause * 2, LONGEST_PAUSE)
        logger.info("starting %s again in %.1f s", service.name, pause)
        await asyncio.sleep(pause)
