"""A VM that an I/O error stopped, and what is done about it, with time at the tests' command."""

import logging
from typing import Any

import pytest

from launcher.life.recovery import LOOK_EVERY, SETTLED
from launcher.life.state import Phase
from tests.unit.life.recovering import AWAY, FULL, MIB, MISSING, SAID_FULL, FakeVm, phases, watched


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
