"""Going down the ladder, second by second, with a VM that does as told."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

import pytest

from launcher.host.errors import LauncherError
from launcher.host.process import Child
from launcher.life import agent
from launcher.life.ladder import Rung
from launcher.life.monitor import Monitor, MonitorLost
from launcher.life.shutdown import Descent
from tests.unit.life import clock

# With 30 seconds: the button at 10 after an agent that took the order, quit at 27, kill at 28.5.
TIMEOUT = 30


class FakeMonitor(Monitor):
    def __init__(self, vm: "FakeVm") -> None:
        self.vm = vm

    async def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        await self.vm.hears(command)


class FakeChild(Child):
    def __init__(self, vm: "FakeVm") -> None:
        self.vm = vm

    def send(self, number: Signals) -> None:
        self.vm.log("kill" if number is SIGKILL else number.name)
        if "kill" in self.vm.ends_by:
            self.vm.ended.set()


class FakeVm:
    """`heard` is what it was told and when; `ends_by`: what makes it end, and how much later.

    `hangs` and `fails` are the commands that are never answered, or answered with an error.
    """

    def __init__(
        self,
        ends_by: Mapping[str, float],
        *,
        has_agent: bool = False,
        hangs: tuple[str, ...] = (),
        fails: Mapping[str, LauncherError] | None = None,
    ) -> None:
        self.ends_by, self.has_agent, self.hangs, self.fails = (
            ends_by,
            has_agent,
            hangs,
            fails or {},
        )
        self.ended = asyncio.Event()
        self.orders: asyncio.Queue[None] = asyncio.Queue()
        self.heard: list[tuple[str, float]] = []

    def log(self, what: str) -> None:
        self.heard.append((what, round(asyncio.get_running_loop().time(), 3)))

    async def hears(self, what: str) -> None:
        self.log(what)
        if what in self.hangs:
            await asyncio.sleep(1e9)
        if what in self.fails:
            raise self.fails[what]
        if what in self.ends_by:
            asyncio.get_running_loop().call_later(self.ends_by[what], self.ended.set)

    async def agent(self, _socket: Path, timeout: float) -> bool:
        if not self.has_agent:
            await asyncio.sleep(timeout)
            return False
        await self.hears("agent")
        return True

    def shut_down(self, timeout: float, orders_at: tuple[float, ...] = ()) -> tuple[Rung, float]:
        """The rung that it took, and the seconds."""

        async def descend() -> tuple[Rung, float]:
            loop = asyncio.get_running_loop()
            for at in orders_at:
                loop.call_at(at, self.orders.put_nowait, None)
            descent = Descent(
                FakeMonitor(self), FakeChild(self), Path("/agent"), self.ended, self.orders
            )
            rung = await descent.run(timeout)
            return rung, round(loop.time(), 3)

        return clock.run(descend())


@pytest.fixture
def vm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeVm]:
    def make(ends_by: Mapping[str, float], **how: Any) -> FakeVm:
        vm = FakeVm(ends_by, **how)
        monkeypatch.setattr(agent, "shut_down", vm.agent)
        return vm

    return make


Make = Callable[..., FakeVm]


def presses(*times: float) -> list[tuple[str, float]]:
    return [("system_powerdown", time) for time in times]


def test_agent_takes_it(vm: Make) -> None:
    guest = vm({"agent": 3}, has_agent=True)
    assert guest.shut_down(TIMEOUT) == (Rung.AGENT, 3)
    assert guest.heard == [("agent", 0)]


def test_agent_takes_it_and_nothing_happens(vm: Make) -> None:
    guest = vm({"system_powerdown": 2}, has_agent=True)
    assert guest.shut_down(TIMEOUT) == (Rung.ACPI, 12)
    assert guest.heard == [("agent", 0), *presses(10)]


def test_without_an_agent_the_button_is_pressed_at_once(vm: Make) -> None:
    guest = vm({"system_powerdown": 2})
    assert guest.shut_down(TIMEOUT) == (Rung.ACPI, 3)
    # One second was the agent's to answer.
    assert guest.heard == presses(1)


def test_button_is_pressed_again(vm: Make) -> None:
    guest = vm({"quit": 0.1})
    assert guest.shut_down(TIMEOUT) == (Rung.QUIT, 27.1)
    assert guest.heard == [*presses(1, 6, 11, 16, 21, 26), ("quit", 27)]


def test_guest_that_ends_between_two_presses(vm: Make) -> None:
    guest = vm({"system_powerdown": 7})
    assert guest.shut_down(TIMEOUT) == (Rung.ACPI, 8)
    assert guest.heard == presses(1, 6)


def test_qemu_that_does_not_quit_is_killed(vm: Make) -> None:
    guest = vm({"kill": 0})
    assert guest.shut_down(TIMEOUT) == (Rung.KILL, 28.5)
    assert guest.heard[-2:] == [("quit", 27), ("kill", 28.5)]


def test_qemu_that_cannot_be_killed(vm: Make, caplog: pytest.LogCaptureFixture) -> None:
    guest = vm({})
    assert guest.shut_down(TIMEOUT) == (Rung.KILL, 30)
    assert "QEMU cannot be killed" in caplog.text


@pytest.mark.parametrize("timeout", [2, 5, 30, 600])
@pytest.mark.parametrize("has_agent", [True, False])
def test_whatever_happens_it_is_in_time(vm: Make, timeout: float, has_agent: bool) -> None:
    guest = vm({"kill": 0}, has_agent=has_agent, hangs=("system_powerdown", "quit"))
    rung, seconds = guest.shut_down(timeout)
    assert rung is Rung.KILL
    assert seconds < timeout


def test_order_skips_the_agent(vm: Make) -> None:
    guest = vm({"system_powerdown": 1}, has_agent=True)
    assert guest.shut_down(TIMEOUT, orders_at=(2,)) == (Rung.ACPI, 3)
    assert guest.heard == [("agent", 0), *presses(2)]


def test_order_skips_the_button(vm: Make) -> None:
    guest = vm({"quit": 0})
    assert guest.shut_down(TIMEOUT, orders_at=(7,)) == (Rung.QUIT, 7)
    assert guest.heard == [*presses(1, 6), ("quit", 7)]


def test_order_skips_quit(vm: Make) -> None:
    guest = vm({"kill": 0})
    assert guest.shut_down(TIMEOUT, orders_at=(3, 4)) == (Rung.KILL, 4)
    assert guest.heard == [*presses(1), ("quit", 3), ("kill", 4)]


def test_each_order_skips_one_rung(vm: Make) -> None:
    guest = vm({"kill": 0}, has_agent=True)
    assert guest.shut_down(TIMEOUT, orders_at=(1, 1, 1)) == (Rung.KILL, 1)
    assert [what for what, _ in guest.heard] == ["agent", "system_powerdown", "quit", "kill"]


def test_order_that_comes_while_the_agent_is_asked_counts(vm: Make) -> None:
    guest = vm({"quit": 0})
    assert guest.shut_down(TIMEOUT, orders_at=(0.5,)) == (Rung.QUIT, 1)
    assert guest.heard == [*presses(1), ("quit", 1)]


def test_monitor_that_hangs_is_given_up(vm: Make) -> None:
    guest = vm({"kill": 0}, hangs=("system_powerdown", "quit"))
    assert guest.shut_down(TIMEOUT) == (Rung.KILL, 28.5)
    assert guest.heard == [*presses(1), ("quit", 27), ("kill", 28.5)]


def test_monitor_that_is_lost_means_qemu_is_ending(
    vm: Make, caplog: pytest.LogCaptureFixture
) -> None:
    guest = vm({"kill": 0}, fails={"quit": MonitorLost("QEMU ended during quit")})
    assert guest.shut_down(TIMEOUT) == (Rung.KILL, 28.5)
    assert "failed" not in caplog.text


def test_command_that_qemu_refuses_is_told(vm: Make, caplog: pytest.LogCaptureFixture) -> None:
    guest = vm({"quit": 0}, fails={"system_powerdown": LauncherError("no button")})
    assert guest.shut_down(TIMEOUT) == (Rung.QUIT, 27)
    assert "pressing the power button failed: no button" in caplog.text


def test_vm_that_has_ended_already_is_left_alone(vm: Make) -> None:
    guest = vm({})
    guest.ended.set()
    assert guest.shut_down(TIMEOUT) == (Rung.AGENT, 0)
    assert guest.heard == []
