"""Whether anybody opens a file, as the kernel tells it (inotify(7)); Python has no way to ask."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_OPEN = 0x20


class Watch:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def was_opened(self) -> bool:
        """Since it was asked last."""
        try:
            return bool(os.read(self._fd, 1 << 16))
        except BlockingIOError:
            return False


@contextmanager
def watched(path: Path) -> Iterator[Watch]:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(path), IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        yield Watch(fd)
    finally:
        os.close(fd)
