"""A VM whose storage is well only when the test says so, with time at its command."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from launcher.disk.space import Space
from launcher.host.errors import LauncherError
from launcher.life.monitor import Monitor, MonitorLost
from launcher.life.recovery import Recovery
from launcher.life.state import Phase
from tests.unit.life import clock

MIB = 1 << 20
SPACE = Space(Path("/pet/web-3.qcow2"), free=0, total=100 * MIB, growth=400 * MIB)
FULL = {
    "node-name": "pet",
    "operation": "write",
    "nospace": True,
    "reason": "No space left on device",
}
AWAY = {"node-name": "pet", "operation": "write", "nospace": False, "reason": "Input/output error"}

MISSING = (
    "/pet has 0 bytes of 100 MiB free, and web-3.qcow2 may still take 400 MiB: up to 400 MiB are "
    "missing"
)
SAID_FULL = f"disk pet: write failed: No space left on device (no space left); {MISSING}"


class FakeVm:
    """A QEMU whose storage is well only when the test says so. `heard` and `told` have the time of
    each `cont` and of each change that was told."""

    def __init__(self, error: Mapping[str, Any] = FULL) -> None:
        self.error = error
        self.is_well = False
        self.status = "running"
        self.free: int | None = 0
        self.refuses = False
        self.heard: list[float] = []
        self.told: list[tuple[float, Phase, str]] = []
        self.recovery = Recovery(cast(Monitor, self), self.look, self.tell)

    async def execute(self, command: str) -> Any:
        if command == "query-status":
            if self.status == "gone":
                raise MonitorLost("QEMU ended")
            return {"status": self.status}
        assert command == "cont"
        self.heard.append(now())
        if self.refuses:
            raise LauncherError("not now")
        self.status = "running"
        self.recovery.started()
        if not self.is_well:
            self.fail()
        return {}

    def pause(self) -> None:
        """What a person's `stop` does: to a VM that does not run, nothing."""
        if self.status == "running":
            self.status = "paused"
            self.recovery.stopped()

    async def look(self, node: str) -> Space | None:
        assert node == "pet"
        return None if self.free is None else SPACE._replace(free=self.free)

    def tell(self, phase: Phase, reason: str) -> None:
        self.told.append((now(), phase, reason))

    def fail(self) -> None:
        """As QEMU does it: several requests fail, then the VM is stopped if it runs."""
        for _ in range(3):
            self.recovery.failed(self.error)
        if self.status == "running":
            self.status = "io-error"
            self.recovery.stopped()

    def at(self, time: float, change: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_at(time, change)

    def gets_well(self, free: int | None = None) -> None:
        self.is_well, self.free = True, free if free is not None else self.free


def now() -> float:
    return round(asyncio.get_running_loop().time(), 3)


def watched(seconds: float, story: Callable[[], Awaitable[FakeVm]]) -> FakeVm:
    """The VM after it was watched for so long."""

    async def watch() -> FakeVm:
        vm = await story()
        watching = asyncio.ensure_future(vm.recovery.watch())
        await asyncio.sleep(seconds)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return vm

    return clock.run(watch())


def phases(vm: FakeVm) -> list[Phase]:
    return [phase for _, phase, _ in vm.told]
