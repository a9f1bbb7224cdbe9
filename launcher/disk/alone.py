"""Nobody else changes the pet meanwhile: other launchers by a lock of ours, QEMU by its own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from launcher.disk import holder, qemu_lock
from launcher.disk.place import Place, explained


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Keep other launchers, of all nodes, off the pet for the few moments in which it is changed.

    The lock is on a file beside the disk: one on the volume's folder would stay on its node, since
    NFS takes only locks on files to its server.

    Where the file system has no such lock we go on without: the volume is one pod's alone by its
    access mode, a new pet's record has one writer, and a disk in use has QEMU's own lock on it.
    """
    with explained(f"opening the pet's lock {place.lock}", place.folder):
        # What may be locked for writing has to be open for it.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(place.lock, flags, 0o644)
    try:
        with suppress(OSError):
            qemu_lock.wait_for_all(fd)
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
