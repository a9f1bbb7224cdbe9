"""The shutdown ladder's times."""

import pytest

from launcher.life.ladder import AGENT_ANSWER, Rung, harsher, schedule

TIMEOUTS = [2, 2.5, 3, 5, 10, 29, 30, 31, 60, 120, 600, 3600, 86400]


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_rungs_are_in_order_and_within_the_time(timeout: float) -> None:
    times = schedule(timeout)
    assert 0 < times.acpi < times.quit < times.kill < timeout


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_most_of_the_time_is_the_guests(timeout: float) -> None:
    times = schedule(timeout)
    assert times.quit >= timeout * 0.75
    # The button has a good part of it, even after an agent that took the order and did nothing.
    assert times.quit - times.acpi >= timeout / 3


@pytest.mark.parametrize("timeout", TIMEOUTS)
def test_qemu_has_time_to_flush_and_we_to_clean_up(timeout: float) -> None:
    times = schedule(timeout)
    assert times.kill - times.quit >= 0.25
    assert timeout - times.kill >= 0.25


def test_longer_timeouts_are_the_guests_gain() -> None:
    assert 3600 - schedule(3600).quit == 3


def test_agent_answers_before_the_button_is_due_with_the_default() -> None:
    assert schedule(30).acpi > AGENT_ANSWER


def test_each_rung_is_harsher_than_the_one_before() -> None:
    assert [harsher(each) for each in Rung] == [Rung.ACPI, Rung.QUIT, Rung.KILL, Rung.KILL]
