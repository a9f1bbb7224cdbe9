"""Nobody else changes the pet meanwhile: other launchers by a lock of ours, QEMU by its own."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.disk import holder, qemu_lock
from launcher.disk.place import Place, explained


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
def unwritten(place: Place) -> Iterator[None]:
    """Keep every QEMU from writing to the pet's disk; programs that read it may.

    :raise Busy: when one has it open for writing already.
    """
    with explained(f"opening the pet's disk {place.disk}", place.folder):
        fd = os.open(place.disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not qemu_lock.forbid_writing(fd):
            raise holder.busy(place)
        yield
    finally:
        os.close(fd)
