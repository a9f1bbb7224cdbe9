"""Our stdout, written to by a thread of its own, so that nobody ever waits for it."""

import os
from collections.abc import Callable
from threading import Condition, Thread

# What waits for a slow reader, in bytes; all that a guest says while it boots is a fraction of it.
BACKLOG = 4 << 20
CHUNK = 65536


class Outlet:
    """QEMU waits for whoever is attached to the console, and the guest waits for QEMU: a reader
    that takes nothing any more, at the end of a connection that is dead, say, would stop them.

    `missed`: bytes that were dropped, for there was no more room. `gone` is called when stdout is
    closed at its other end.
    """

    def __init__(self, gone: Callable[[], None]) -> None:
        self.missed = 0
        self._gone = gone
        self._waiting = bytearray()
        self._changed = Condition()
        Thread(target=self._carry, name="outlet", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Have `data` written when its turn comes. Returns at once."""
        with self._changed:
            room = BACKLOG - len(self._waiting)
            self._waiting += data[:room]
            self.missed += len(data[room:])
            self._changed.notify()

    def flush(self, timeout: float) -> None:
        """Wait until all is written, for `timeout` seconds at most; what is left is missed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, timeout)
            self.missed += len(self._waiting)

    def _carry(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = bytes(self._waiting[:CHUNK])
            try:
                written = os.write(1, data)
            except OSError:
                self._gone()
                return
            with self._changed:
                del self._waiting[:written]
                self._changed.notify()
