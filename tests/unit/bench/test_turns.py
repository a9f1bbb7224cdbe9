"""Contenders take turns, and are compared turn by turn."""

import pytest

from tests.bench.turns import ratio, rounds


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def contender(name: str) -> int:
        order.append(name)
        return len(order)

    results = rounds([lambda: contender("a"), lambda: contender("b")], 2)
    assert order == ["a", "b", "a", "b"]
    assert results == [[1, 3], [2, 4]]


def test_ratio_is_the_median_of_pairs() -> None:
    # A slow moment met both in the last round; medians of each would say 2 / 10.
    assert ratio([1.0, 2.0, 30.0], [10.0, 4.0, 15.0]) == 0.5


def test_ratio_wants_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])
