"""A VM that a person pauses, or something else stops, where its storage fails too."""

import pytest

from launcher.life.state import Phase
from tests.unit.life.recovering import FULL, FakeVm, watched


def test_a_person_s_pause_is_a_person_s_to_end() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.pause()
        return vm

    vm = watched(500, story)
    assert (vm.heard, vm.told) == ([], [])


def test_a_person_s_pause_lasts_though_requests_under_way_fail() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.pause()
        vm.at(3, vm.fail)
        return vm

    vm = watched(500, story)
    assert (vm.heard, vm.told, vm.status) == ([], [], "paused")


def test_a_person_who_is_just_before_the_error_has_paused_it() -> None:
    """The requests have failed, and QEMU was about to stop the VM."""

    async def story() -> FakeVm:
        vm = FakeVm()
        vm.recovery.failed(FULL)
        vm.pause()
        return vm

    vm = watched(500, story)
    assert (vm.heard, vm.status) == ([], "paused")
    assert vm.told[-1][1:] == (Phase.PAUSED, "")


def test_a_person_who_pauses_it_as_it_goes_on_has_paused_it() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.is_well = True
        vm.at(1.5, vm.pause)
        return vm

    vm = watched(500, story)
    assert (vm.heard, vm.status) == ([1], "paused")
    assert vm.told[-1][1:] == (Phase.PAUSED, "")


def test_a_person_who_pauses_it_after_the_error_is_not_heard_by_qemu() -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.at(3, vm.pause)
        vm.at(10, vm.gets_well)
        return vm

    vm = watched(500, story)
    assert vm.told[-1] == (19.0, Phase.RUNNING, "")


@pytest.mark.parametrize("status", ["guest-panicked", "suspended"])
def test_what_else_stops_it_is_told_instead_of_the_disk(status: str) -> None:
    async def story() -> FakeVm:
        vm = FakeVm()
        vm.fail()
        vm.is_well = True
        vm.at(1.5, lambda: setattr(vm, "status", status))
        return vm

    vm = watched(500, story)
    assert vm.heard == [1]
    assert vm.told[-1][1:] == (Phase.PAUSED, f"QEMU's run state is {status}")
    assert vm.recovery.reason == ""
