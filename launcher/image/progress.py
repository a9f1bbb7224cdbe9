"""How far a transfer has come, told to people: a bar on a terminal, else a line now and then."""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger("startvm")

MIB = 1 << 20

LOG_EVERY = 5.0
BAR_EVERY = 0.2

# Seconds over which the speed is taken: long enough to be steady, short enough to see a stall.
WINDOW = 15.0

BAR_WIDTH = 24


def silent(_: str) -> None:
    """Tells nobody."""


def size(count: float) -> str:
    """Bytes for people: `17 bytes`, `12.3 MiB`, `400 MiB`, `2.1 GiB`."""
    if count < 1024:
        return f"{count:.0f} bytes"
    units = ["TiB", "GiB", "MiB", "KiB"]
    count /= 1024
    while count >= 999.5 and len(units) > 1:
        count /= 1024
        units.pop()
    return f"{count:.1f} {units[-1]}" if count < 99.95 else f"{count:.0f} {units[-1]}"


def duration(seconds: float) -> str:
    """`8 s`, `2 min 5 s`, `1 h 3 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def sentence(verb: str, done: int, total: int | None, speed: float) -> str:
    """`downloaded 123 MiB of 400 MiB (31 %), 45.0 MiB/s, 6 s left`. `speed`: bytes per second."""
    text = f"{verb} {size(done)}"
    if total:
        text += f" of {size(total)} ({percent(done, total)} %)"
    text += f", {size(speed)}/s"
    if total and speed and done < total:
        text += f", {duration((total - done) / speed)} left"
    return text


def percent(done: int, total: int) -> int:
    """Rounded down, so that 100 means all of it."""
    return min(100, done * 100 // total)


def bar(done: int, total: int | None) -> str:
    """`[#######.........]`; nothing where the total is not known."""
    if not total:
        return ""
    filled = min(BAR_WIDTH, done * BAR_WIDTH // total)
    return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] "


class Meter:
    """Counts bytes and shows them every so often.

    :param total: bytes that are expected, None where nobody said.
    :param show: what to do with the text, every `every` seconds at most.
    :param tell: the same for the text without a bar.
    :param clock: seconds, from any start.
    """

    def __init__(
        self,
        verb: str,
        total: int | None,
        show: Callable[[str], None],
        *,
        every: float,
        with_bar: bool = False,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = silent,
    ) -> None:
        self.done = 0
        self._verb = verb
        self._total = total
        self._show = show
        self._tell = tell
        self._every = every
        self._with_bar = with_bar
        self._clock = clock
        self._start = self._last = clock()
        self._samples = deque([(self._start, 0)])

    def advance(self, count: int) -> None:
        self.done += count
        now = self._clock()
        if now - self._last < self._every:
            return
        self._last = now
        self._samples.append((now, self.done))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()
        before, done_before = self._samples[0]
        speed = (self.done - done_before) / (now - before) if now > before else 0.0
        front = bar(self.done, self._total) if self._with_bar else ""
        text = sentence(self._verb, self.done, self._total, speed)
        self._show(front + text)
        self._tell(text)

    def summary(self) -> str:
        """`downloaded 400 MiB in 9 s (45.0 MiB/s)`."""
        seconds = self._clock() - self._start
        speed = self.done / seconds if seconds > 0 else 0.0
        return f"{self._verb} {size(self.done)} in {duration(seconds)} ({size(speed)}/s)"


@contextmanager
def shown(
    verb: str,
    total: int | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[str], None] = silent,
) -> Iterator[Meter]:
    """A meter that shows itself on stderr, in the way that fits, and to `tell`; a summary if all
    went well."""
    if sys.stderr.isatty():
        meter = Meter(verb, total, _draw, every=BAR_EVERY, with_bar=True, clock=clock, tell=tell)
        try:
            yield meter
        finally:
            _draw("")
    else:
        meter = Meter(verb, total, logger.info, every=LOG_EVERY, clock=clock, tell=tell)
        yield meter
    logger.info(meter.summary())


def _draw(text: str) -> None:
    """Put `text` in place of the current line."""
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
