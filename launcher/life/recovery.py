"""A VM that an I/O error stopped goes on by itself, with the request that failed sent again.

QEMU keeps what it could not write and stops the VM, and then waits for somebody to say `cont`;
where nobody does, it is still stopped when the storage has long been well. So it is told as soon as
there is more space, and now and then anyhow. An attempt in vain costs the guest nothing: the
request fails again, and QEMU stops the VM as before.

Only QEMU's run state `io-error` is ended here. A VM that a person paused stays paused, also where
requests that were under way fail then. Who pauses one that an error has stopped already is not
heard: `stop` changes nothing about a VM that does not run (QEMU's do_vm_stop), and tells nobody.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from launcher.disk.space import Space
from launcher.host.errors import LauncherError
from launcher.image.progress import duration
from launcher.life import io_error
from launcher.life.io_error import IoError
from launcher.life.monitor import Monitor, MonitorLost
from launcher.life.state import Phase

logger = logging.getLogger("startvm")

# Seconds between two looks at a volume.
LOOK_EVERY = 2.0
# A VM that still runs so long after `cont` has got over it: what failed was sent again at once.
SETTLED = 1.0
# After a run this long an error is a new one, which begins with the shortest pause. Seconds.
GOOD_RUN = 60.0

Look = Callable[[str], Awaitable[Space | None]]
Tell = Callable[[Phase, str], None]


class Recovery:
    """`look` finds the space that a disk has, by the name of its block node. `tell` takes the phase
    whenever it is another one, with the reason.

    `failed`, `stopped` and `started` are to be called at QEMU's events BLOCK_IO_ERROR (where it
    stops the VM), STOP and RESUME; `watch` runs as long as the VM does.
    """

    def __init__(self, monitor: Monitor, look: Look, tell: Tell) -> None:
        self._monitor = monitor
        self._look = look
        self._tell = tell
        self._error: IoError | None = None
        self._logged: set[IoError] = set()
        self._reason = ""
        self._stopped = asyncio.Event()
        self._at_once = asyncio.Event()

    @property
    def reason(self) -> str:
        """Why the VM is stopped; empty where no disk is to blame."""
        return self._reason

    @property
    def is_under_way(self) -> bool:
        """Whether the phase is ours to tell."""
        return self._stopped.is_set()

    def failed(self, data: Mapping[str, Any]) -> None:
        self._error = io_error.of(data)
        self._reason = self._reason or str(self._error)
        # Many requests fail at a time, and again at each attempt.
        if self._error not in self._logged:
            self._logged.add(self._error)
            logger.error("%s", self._error)

    def stopped(self) -> None:
        if self._error:
            self._stopped.set()

    def started(self) -> None:
        """Whoever did it; whether it lasts is for `watch` to see."""
        if self.is_under_way:
            self.hurry()
        else:
            self._forget()

    def hurry(self) -> None:
        """Try it now rather than at the next occasion."""
        self._at_once.set()

    async def watch(self) -> None:
        """Let the VM go on whenever that may help, until QEMU ends."""
        loop = asyncio.get_running_loop()
        attempts, ended = 0, -GOOD_RUN
        with suppress(MonitorLost):
            while True:
                await self._stopped.wait()
                begun = loop.time()
                if begun - ended >= GOOD_RUN:
                    attempts = 0
                attempts, status = await self._recover(attempts)
                ended = loop.time()
                self._forget()
                match status:
                    case "running":
                        self._tell(Phase.RUNNING, "")
                        logger.info("the VM goes on after %s", duration(ended - begun))
                    case "paused":
                        self._tell(Phase.PAUSED, "")
                    case _:
                        self._tell(Phase.PAUSED, f"QEMU's run state is {status}")

    async def _recover(self, attempts: int) -> tuple[int, str]:
        """Try until QEMU's run state is another one than `io-error`. Returns that, and how often
        it was tried, `attempts` before included."""
        is_told = False
        while error := self._error:
            before = await self._look(error.node) if error.is_full else None
            self._reason = f"{error}; {io_error.shortage(before)}" if before else str(error)
            self._tell(Phase.PAUSED, self._reason)
            if not is_told:
                logger.warning("%s", io_error.outlook(error, before))
                is_told = True
            await self._wait(error.node, before, io_error.pause(attempts))
            status = await self._attempt()
            attempts += 1
            if status != "io-error":
                return attempts, status
        raise AssertionError("a VM that no error stopped is not ours to recover")

    async def _wait(self, node: str, before: Space | None, seconds: float) -> None:
        """Until that time is over, the volume has room, or somebody did it for us."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # What our own attempt set is no news.
        self._at_once.clear()
        while (left := end - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_EVERY)):
                    await self._at_once.wait()
                    return
            if before and io_error.has_room(before, await self._look(node)):
                return

    async def _attempt(self) -> str:
        """Say `cont`. Returns the run state that comes of it."""
        if await self._run_state() == "io-error":
            try:
                await self._monitor.execute("cont")
            except MonitorLost:
                raise
            except LauncherError as err:
                logger.debug("the VM does not go on: %s", err)
        await asyncio.sleep(SETTLED)
        return await self._run_state()

    async def _run_state(self) -> str:
        return str((await self._monitor.execute("query-status"))["status"])

    def _forget(self) -> None:
        self._error, self._reason = None, ""
        self._logged.clear()
        self._stopped.clear()
