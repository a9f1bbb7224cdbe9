"""What a pet that is being made has been written down as elsewhere, so that a crash leaves a trace.

::

    <name>.begun    the UUID drawn for the pet and the base it was to have, until it has its record

The shared volume knows of a pet before there is one. Where the making is killed in between, the
next start draws another UUID, and only this note tells that the first one will never be a pet. It
is on the pet's own volume: a name and a namespace are not enough to say so, since they come again
in other clusters, and on a new volume while the old one is kept.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from launcher.disk.place import Place
from launcher.host.durable import sync_names

MAX_SIZE = 4096


class Begun(NamedTuple):
    """`digest`: of the base."""

    digest: str
    uuid: str


class Note:
    """The note of one pet. Without an open file it is somebody else's, or there can be none: then
    nothing is read and nothing kept."""

    def __init__(self, place: Place, fd: int | None = None) -> None:
        self._place, self._fd = place, fd

    def read(self) -> Begun | None:
        """What a start that was killed has left."""
        if self._fd is None:
            return None
        try:
            whole = json.loads(os.pread(self._fd, MAX_SIZE, 0))
            return Begun(str(whole["digest"]), str(whole["uuid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, begun: Begun) -> None:
        """Write it and make it last, if that is possible: it is a precaution."""
        if self._fd is None:
            return
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, json.dumps(begun._asdict()).encode(), 0)
            os.fsync(self._fd)
            sync_names(self._place.folder)

    def clear(self) -> None:
        """What was written is true no longer."""
        if self._fd is not None:
            with suppress(OSError):
                os.ftruncate(self._fd, 0)

    def remove_if_empty(self) -> None:
        """Nothing was begun."""
        if self._fd is not None and not os.fstat(self._fd).st_size:
            self.remove()

    def remove(self) -> None:
        """The pet is there, or nothing of it is."""
        if self._fd is not None:
            remove(self._place)


def remove(place: Place) -> None:
    """Remove the note of a pet that has its record."""
    with suppress(OSError):
        place.begun.unlink(missing_ok=True)


@contextmanager
def noted(place: Place) -> Iterator[Note]:
    """The note of a pet that is about to be made. While it is ours, it is locked: what another
    launcher is making this moment is not what a crash left."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(place.begun, flags, 0o644)
    except OSError:
        yield Note(place)  # whoever makes the pet will say why
        return
    try:
        note = Note(place, fd if _is_ours(place, fd) else None)
        try:
            yield note
        finally:
            note.remove_if_empty()
    finally:
        os.close(fd)


def _is_ours(place: Place, fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock before may have made the pet, and removed the note.
        return os.path.samestat(os.fstat(fd), place.begun.lstat()) and not place.record.exists()
    except OSError:
        return False
