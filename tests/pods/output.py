"""What a program writes into a pipe: kept, and awaited."""

import os
import re
import threading
import time

TAIL = 3000


class Output:
    """The reading end of a pipe. `fd` is its writing end, to be closed once it was handed over."""

    def __init__(self) -> None:
        self._reading, self.fd = os.pipe()
        self._data = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def data(self) -> bytes:
        with self._changed:
            return bytes(self._data)

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")

    @property
    def tail(self) -> str:
        return self.text[-TAIL:]

    def wait_for(self, pattern: str, timeout: float = 120.0) -> "re.Match[str]":
        """Wait until the whole text so far has a match of a regular expression."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self._data.decode(errors="replace")
                if found := re.search(pattern, text, re.MULTILINE):
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "ended" if self._ended else f"went on for {timeout:g} s"
                    raise AssertionError(f"it {why} without {pattern!r}:\n{text[-TAIL:]}")
                self._changed.wait(left)

    def wait_for_end(self, timeout: float = 30.0) -> bool:
        """Wait until nobody holds the writing end any more. False if somebody still does."""
        self._thread.join(timeout)
        return self._ended

    def _read(self) -> None:
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while chunk := pipe.read(65536):
                with self._changed:
                    self._data += chunk
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
