"""Nobody else changes the pet meanwhile: other launchers by a lock of ours, QEMU by its own."""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.disk.place import explained
from launcher.host.errors import Busy

# QEMU locks single bytes of an image (block/file-posix.c): from the first of these on for what it
# does with the image, from the second on for what nobody else may do; of each the bit's number.
DOES, FORBIDS = 100, 200
WRITE = 1


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other launchers off the pet's volume for the few moments in which a pet is changed.

    Where the file system has no such lock we go on without: the volume is one pod's alone by its
    access mode, and a disk in use has QEMU's own lock on it.
    """
    with explained(f"opening the pet's volume {folder}", folder):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def unwritten(disk: Path) -> Iterator[None]:
    """Keep every QEMU from writing to `disk`; programs that read it may.

    :raise Busy: when one has it open for writing already.
    """
    with explained(f"opening the pet's disk {disk}", disk.parent):
        fd = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _forbid_writing(fd):
            raise Busy(
                f"the pet's disk {disk} is open in another process that writes to it",
                hint="a pet runs once; the other pod has to end first",
            )
        yield
    finally:
        os.close(fd)


def _forbid_writing(fd: int) -> bool:
    """False if somebody writes; True where the file system knows no such locks."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK, FORBIDS + WRITE))
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, DOES + WRITE))
    except OSError as err:
        return err.errno not in (errno.EAGAIN, errno.EACCES)
    kind: int = struct.unpack_from("h", answer)[0]
    return kind == fcntl.F_UNLCK


def _lock(kind: int, at: int) -> bytes:
    """A `struct flock` for the byte `at`."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, at, 1, 0)
