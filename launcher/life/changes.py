"""Changes to the disk of a VM that runs: what the control socket's commands for them do.

The pet's volume is read and written in threads: while it hangs, others are still answered and an
order to stop is heard. What is begun there is waited for; only looks have to answer in time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from launcher.disk import pet, rebase, request
from launcher.disk.place import Place
from launcher.disk.request import Rebase, Request, Restore
from launcher.disk.snapshot import listing, name
from launcher.disk.snapshot.notes import How
from launcher.host.errors import Busy, LauncherError, StorageError
from launcher.image.store.record import Address
from launcher.life.control import Arguments, Command, Held
from launcher.life.monitor import Monitor
from launcher.life.state import Phase, State
from launcher.life.volumes import in_thread, in_time
from launcher.machine.drives import PET_NODE

logger = logging.getLogger("startvm")
T = TypeVar("T")

# Seconds that a guest is kept frozen at most. QEMU writes tables only, of a disk of 1 TiB a few
# hundred MiB; on storage that is slower than that the snapshot is as after a power cut.
FROZEN = 5.0

CREATE = "blockdev-snapshot-internal-sync"
DELETE = "blockdev-snapshot-delete-internal-sync"


class Changes:
    """`at_rest`: as `Freezer` has it. `state` tells the phase as it is known here; `stop` has the
    guest shut down, as an order from outside has."""

    def __init__(
        self,
        monitor: Monitor,
        at_rest: Callable[[], AbstractAsyncContextManager[str]],
        place: Place,
        state: Callable[[], State],
        stop: Callable[[], None],
    ) -> None:
        self._monitor = monitor
        self._at_rest = at_rest
        self._place = place
        self._state = state
        self._stop = stop
        self._one_at_a_time = asyncio.Lock()
        self._held: set[str] = set()
        self._asked = False

    def commands(self) -> Mapping[str, Command]:
        return {
            "snapshot-create": self.create,
            "snapshot-delete": self.delete,
            "snapshot-hold": self.hold,
            "restore": self.restore,
            "rebase": self.rebase,
        }

    async def create(self, arguments: Arguments) -> dict[str, Any]:
        """Take the snapshot `name`, noted with `description`.

        Returns it as it is listed, with `unfrozen`: why the guest was not at rest, empty if it was.
        """
        wanted = name.check(str(arguments.get("name")))
        async with self._one_at_a_time:
            return await self._create(wanted, str(arguments.get("description") or ""))

    async def delete(self, arguments: Arguments) -> dict[str, Any]:
        """Remove the snapshot `name`."""
        wanted = str(arguments.get("name"))
        async with self._one_at_a_time:
            self._check_phase()
            await self._find(wanted)
            if wanted in self._held:
                raise Busy(f"the snapshot {wanted} is being exported")
            await self._execute(DELETE, wanted)
            await in_thread(lambda: listing.forget(self._place))
        return {}

    async def hold(self, arguments: Arguments) -> Held:
        """Keep the snapshot `name` there for the client, or one taken now if there is no name."""
        wanted = str(arguments.get("name") or "")
        async with self._one_at_a_time:
            if wanted:
                self._check_phase()
                await self._find(wanted)
                answer = {"name": wanted, "unfrozen": ""}
            else:
                wanted = name.of_export(time.time())
                answer = await self._create(wanted, "for an export that is under way")
            if wanted in self._held:
                raise Busy(f"the snapshot {wanted} is being exported already")
            self._held.add(wanted)

        async def release() -> None:
            self._held.discard(wanted)
            await self.tidy()

        return Held(answer, release)

    async def restore(self, arguments: Arguments) -> dict[str, Any]:
        """Have the guest shut down and the next start set the disk back to the snapshot `name`.

        Returns `kept`: what the state of then will be kept as; empty with `discard`.
        """
        wanted = str(arguments.get("name"))
        async with self._one_at_a_time:
            self._check_phase()
            await self._find(wanted)
            keep = "" if arguments.get("discard") else name.before_restore(time.time())
            if keep:
                await self._refuse_twice(keep)
            await self._ask(Restore(wanted, keep))
        return {"kept": keep}

    async def rebase(self, arguments: Arguments) -> dict[str, Any]:
        """Have the guest shut down and the next start move the disk to the base `digest`, which
        came from the address that `shown` and `sha256` stand for."""
        wanted = Rebase(
            str(arguments.get("digest")),
            Address(str(arguments.get("shown")), str(arguments.get("sha256") or "")),
        )
        async with self._one_at_a_time:
            self._check_phase()
            await self._in_time(lambda: rebase.check(pet.find(self._place), self._place))
            await self._ask(wanted)
        return {}

    async def tidy(self) -> None:
        """Remove the snapshots of exports that are under way no more."""
        async with self._one_at_a_time:
            try:
                for each in await self._in_time(lambda: listing.read(self._place)):
                    if name.is_of_export(each.name) and each.name not in self._held:
                        await self._execute(DELETE, each.name)
                        await self._in_time(lambda: listing.forget(self._place))
            except LauncherError as err:
                # It is tried again at the next start.
                logger.warning("the snapshot of an export is left: %s", err)

    async def _create(self, wanted: str, description: str) -> dict[str, Any]:
        self._check_phase()
        await self._refuse_twice(wanted)
        async with self._at_rest() as unfrozen:
            taking = asyncio.ensure_future(self._execute(CREATE, wanted))
            await asyncio.wait({taking}, timeout=FROZEN)
            if not taking.done():
                unfrozen = unfrozen or f"it took more than {FROZEN:g} s"
        await taking
        how = How.CRASH if unfrozen else How.FROZEN
        taken = await in_thread(lambda: listing.remark(self._place, wanted, how, description))
        logger.info("took the snapshot %s, %s", wanted, f"{how}: {unfrozen}" if unfrozen else how)
        return {**taken.data(), "unfrozen": unfrozen}

    async def _find(self, wanted: str) -> None:
        await self._in_time(lambda: listing.find(self._place, wanted))

    async def _refuse_twice(self, wanted: str) -> None:
        await self._in_time(lambda: listing.refuse_twice(self._place, wanted))

    async def _in_time(self, look: Callable[[], T]) -> T:
        return await in_time(look, self._place.folder)

    async def _execute(self, command: str, snapshot: str) -> None:
        try:
            await self._monitor.execute(command, {"device": PET_NODE, "name": snapshot})
        except LauncherError as err:
            if "No space left" not in err.message:
                raise
            raise StorageError(
                f"there is too little space in {self._place.folder}: {err.message}",
                hint="the pet's volume has to grow",
            ) from err

    async def _ask(self, wanted: Request) -> None:
        """Write it down, however long that takes, and stop at once: whatever kills us from here on
        ends QEMU too."""
        await in_thread(lambda: request.save(self._place, wanted))
        self._asked = True
        logger.info("told to %s, which the next start does first", wanted)
        self._stop()

    def _check_phase(self) -> None:
        # What waited its turn behind a restore comes before the phase is another one.
        if self._asked:
            raise Busy("the VM is shutting down", hint="wait until it runs, or is off")
        phase = self._state().phase
        if phase not in (Phase.RUNNING, Phase.PAUSED):
            raise Busy(f"the VM is {phase}", hint="wait until it runs, or is off")
