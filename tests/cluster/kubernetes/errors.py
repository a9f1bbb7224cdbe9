"""What goes wrong while a cluster is made, and waiting for what should not."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class ClusterError(Exception):
    """A cluster could not be made, or does not do what was asked of it."""


def wait_for(
    what: str, condition: Callable[[], T | None], seconds: float, pause: float = 0.05
) -> T:
    """Ask until the answer is something, and return it.

    :raise ClusterError: when it is nothing for that long.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not after {seconds:g} s")
        time.sleep(pause)
    return answer
