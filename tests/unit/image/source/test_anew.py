"""By what lot those that failed together are told apart."""

import time
from types import ModuleType

import pytest

from launcher.image.source import anew, download, http, retry
from launcher.image.source.retry import Anew


@pytest.mark.parametrize("place", [anew, download, http])
def test_each_pause_is_by_a_lot_of_its_own(place: ModuleType) -> None:
    drawn = [place.chance() for _ in range(100)]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= each <= 1 for each in drawn)
    assert min(drawn) < 0.5 < max(drawn)


def test_the_pauses_before_another_go_at_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)

    def attempt(is_one_stream: bool) -> None:
        raise Anew("it changed")

    for _ in range(20):
        with pytest.raises(Anew):
            anew.anew(attempt, time.monotonic() + 3600)
    assert len(made) == 20 * (retry.ROUNDS - 1)
    assert len(set(made)) == len(made)
    firsts = made[:: retry.ROUNDS - 1]
    assert all(0 <= each <= retry.FIRST for each in firsts)
