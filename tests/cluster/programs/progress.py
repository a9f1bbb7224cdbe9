"""One line that says how far a long build is: rewritten on a terminal, now and then in a log."""

import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from types import TracebackType

# Seconds between two lines, on a terminal and in a log.
LIVELY, CALM = 1.0, 30.0
# Lines of what a program said that are kept, for the case that it fails.
KEPT = 40


class Progress:
    """`minutes` is what it takes as a rule. Lines are written until the `with` block is left."""

    def __init__(self, what: str, minutes: int) -> None:
        self._what = what
        self._minutes = minutes
        self._begun = time.monotonic()
        self._total = 0
        self._done = 0
        self._ended = threading.Event()
        self._terminal = sys.stderr.isatty()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> None:
        self._write(f"== {self._what}, once (about {self._minutes} min on two cores)\n")
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._terminal:
            self._write("\r\033[K")
        if error is None:
            self._write(f"== {self._what}: done in {self._elapsed()}\n")

    def expect(self, total: int) -> None:
        """How many packages there are in all."""
        self._total = total

    def follow(self, lines: Iterable[str]) -> deque[str]:
        """Count the packages that `go install -v` names; returns the last lines of all it said."""
        last: deque[str] = deque(maxlen=KEPT)
        for line in lines:
            last.append(line)
            if self._total and " " not in line:
                self._done += 1
        return last

    def _show(self) -> None:
        while not self._ended.wait(LIVELY if self._terminal else CALM):
            # What Go has in its cache already, it does not name.
            how_far = f"{self._done} of {self._total} packages" if self._total else "sources"
            line = f"   {how_far}, {self._elapsed()}"
            self._write(f"\r{line}\033[K" if self._terminal else f"{line}\n")

    def _elapsed(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self._begun), 60)
        return f"{minutes}:{seconds:02}"

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
