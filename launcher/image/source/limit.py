"""The time that a download may take, kept also where a server decides how long a wait is.

A byte now and then passes every timeout of a socket. So when the time is over, what is waited for
is ended from outside.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from launcher.host.errors import SourceUnavailable
from launcher.image.progress import duration


def is_over(deadline: float) -> bool:
    """Whether that moment of `time.monotonic()` has passed."""
    return time.monotonic() >= deadline


@contextmanager
def ended_at(deadline: float, end: Callable[[], None]) -> Iterator[None]:
    """Call `end` at that moment of `time.monotonic()`, if the context still lasts then."""
    left = max(0.0, deadline - time.monotonic())
    timer = threading.Timer(min(left, threading.TIMEOUT_MAX), end)
    timer.name = "fetch-limit"
    # A signal's exception may come between its start and our knowing of it.
    timer.daemon = True
    try:
        timer.start()
        yield
    finally:
        timer.cancel()
        if timer.is_alive():
            timer.join()


def too_late(shown: str, patience: float, came: str, kept: str) -> SourceUnavailable:
    """What to say then: `came` is how much of it, `kept` what becomes of that."""
    return SourceUnavailable(
        f"{shown} is not here after {duration(patience)}: {came}",
        hint=f"{kept}; FETCH_TIMEOUT says how long it may take",
    )
