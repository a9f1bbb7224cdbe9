"""Contenders take turns, so that all meet the same noise, and are compared turn by turn."""

import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

Result = TypeVar("Result")


def rounds(contenders: Sequence[Callable[[], Result]], count: int) -> list[list[Result]]:
    """What each contender returned in `count` rounds: one list for each."""
    results: list[list[Result]] = [[] for _ in contenders]
    for _ in range(count):
        for contender, mine in zip(contenders, results, strict=True):
            mine.append(contender())
    return results


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of `over` ÷ `under`, round by round: a slow moment of the machine meets both."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
