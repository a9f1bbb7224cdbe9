"""A VM that an I/O error stopped, and what is done about it, with time at the tests' command."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from launcher.disk.space import Space
from launcher.host.errors import LauncherError
from launcher.life.monitor import Monitor, MonitorLost
from launcher.life.recovery import LOOK_EVERY, SETTLED, Recovery
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

    async def look(self, node: str) -> Space | None:
        assert node == "pet"
        return None if self.free is None else SPACE._replace(free=self.free)

    def tell(self, phase: Phase, reason: str) -> None:
        self.told.append((now(), phase, reason))

    def fail(self) -> None:
        """As QEMU does it: several requests fail, then the VM is stopped."""
        for _ in range(3):
            self.recovery.failed(self.error)
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


def test_a_full_disk_is_told_once_with_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        return vm

    with caplog.at_level(logging.INFO):
        vm = watched(200, story)
    assert {(phase, reason) for _, phase, reason in vm.told} == {(Phase.PAUSED, SAID_FULL)}
    assert vm.recovery.reason == SAID_FULL
    assert [each.message for each in caplog.records] == [
        "disk pet: write failed: No space left on device (no space left)",
        f"{MISSING}; the VM is paused, and goes on by itself once 1.0 MiB more is free",
    ]


def test_it_goes_on_as_soon_as_there_is_space(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.at(100, lambda: vm.gets_well(free=2 * MIB))
        return vm

    with caplog.at_level(logging.INFO):
        vm = watched(200, story)
    assert 100 <= vm.heard[-1] <= 100 + LOOK_EVERY
    assert vm.told[-1] == (vm.heard[-1] + SETTLED, Phase.RUNNING, "")
    assert vm.recovery.reason == ""
    assert caplog.messages[-1].startswith("the VM goes on after 1 min 4")


def test_too_little_space_is_waited_with() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.at(70, lambda: setattr(vm, "free", MIB - 1))
        return vm

    # With one second each in which it is seen that the attempt was in vain.
    assert watched(200, story).heard == [1, 4, 9, 18, 35, 66, 97, 128, 159, 190]


@pytest.mark.parametrize("error", [FULL, AWAY], ids=["no numbers", "storage away"])
def test_what_gives_no_sign_is_tried_now_and_then(error: dict[str, Any]) -> None:
    async def story() -> FakeVm:
        vm = FakeVm(error)
        vm.free = None
        vm.fail()
        vm.at(50, vm.gets_well)
        return vm

    vm = watched(500, story)
    assert vm.heard == [1, 4, 9, 18, 35, 66]
    assert vm.told[-1] == (67.0, Phase.RUNNING, "")
    assert phases(vm).count(Phase.RUNNING) == 1, "not while it was in vain"


def test_a_person_s_pause_is_a_person_s_to_end() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.status = "paused"
        vm.recovery.stopped()
        return vm

    vm = watched(500, story)
    assert (vm.heard, vm.told) == ([], [])


@pytest.mark.parametrize("time", [1.5, 3], ids=["after an attempt", "before one"])
def test_a_person_who_pauses_it_after_the_error_has_the_last_word(time: float) -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.at(time, lambda: setattr(vm, "status", "paused"))
        return vm

    vm = watched(500, story)
    assert vm.heard == [1]
    assert vm.told[-1][1:] == (Phase.PAUSED, "")


def test_a_person_who_lets_it_go_on_is_not_waited_for() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()

        def let_go_on() -> None:
            vm.status = "running"
            vm.recovery.started()

        vm.at(22, let_go_on)
        return vm

    vm = watched(500, story)
    assert vm.heard == [1, 4, 9, 18]
    assert vm.told[-1] == (22 + SETTLED, Phase.RUNNING, "")


def test_hurry() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.at(40, vm.recovery.hurry)
        return vm

    assert watched(60, story).heard == [1, 4, 9, 18, 35, 40]


def test_the_pauses_of_an_error_that_comes_back_at_once_go_on() -> None:
    async def story() -> FakeVm:
        vm = FakeVm(AWAY)
        vm.is_well = True
        vm.fail()
        for time in (10, 20, 200):
            vm.at(time, vm.fail)
        return vm

    # The third one comes after minutes in which nothing failed.
    assert watched(500, story).heard == [1, 12, 24, 201]


def test_a_cont_that_is_refused_is_tried_again() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.refuses = True
        vm.fail()
        return vm

    assert watched(20, story).heard == [1, 4, 9, 18]


def test_a_start_forgets_an_error_that_stopped_nothing() -> None:
    """One of requests that were under way when a person paused the VM."""

    async def story() -> FakeVm:
        vm = FakeVm()
        vm.recovery.failed(FULL)
        vm.recovery.started()
        vm.status = "paused"
        vm.recovery.stopped()
        return vm

    vm = watched(100, story)
    assert (vm.heard, vm.recovery.reason) == ([], "")


def test_the_end_of_qemu_ends_it() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.status = "gone"
        return vm

    assert watched(100, story).heard == []
