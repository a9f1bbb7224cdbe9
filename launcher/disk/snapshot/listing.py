"""A pet's snapshots as its disk has them, with what is noted about them."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from launcher.disk.place import Place
from launcher.disk.snapshot import notes
from launcher.disk.snapshot.notes import How, Note
from launcher.host.errors import (
    AlreadyThere,
    ImageRefused,
    InputMissing,
    LauncherError,
    StorageError,
)
from launcher.host.timestamp import rfc3339
from launcher.image.format.qcow2 import snapshots
from launcher.image.format.qcow2.header import NotQcow2
from launcher.image.format.qcow2.snapshots import Snapshot

logger = logging.getLogger("startvm")


class Taken(NamedTuple):
    """`taken`: nanoseconds since the epoch. `disk_size`: bytes of the disk then as the guest saw
    it, None where the file does not say."""

    name: str
    taken: int
    disk_size: int | None
    how: How
    description: str

    def data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "taken": moment(self.taken),
            "disk_size": self.disk_size,
            "how": str(self.how),
            "description": self.description,
        }


def look(place: Place) -> tuple[Taken, ...]:
    """The snapshots in the order they were taken; none where there is no disk yet.

    :raise ImageRefused: when the disk cannot be understood; StorageError when it cannot be read.
    """
    known = notes.load(place)

    def taken(each: Snapshot) -> Taken:
        note = known.get(each.name, Note(0, How.UNKNOWN))
        if note.taken != each.taken:
            note = Note(0, How.UNKNOWN)
        return Taken(each.name, each.taken, each.disk_size, note.how, note.description)

    return tuple(taken(each) for each in read(place))


def read(place: Place) -> tuple[Snapshot, ...]:
    """What the disk itself says; the same errors."""
    try:
        return snapshots.read(place.disk)
    except FileNotFoundError:
        return ()
    except NotQcow2 as err:
        raise ImageRefused(f"the pet's disk {place.disk} may not be used: {err}") from err
    except OSError as err:
        raise StorageError(f"the pet's disk {place.disk} cannot be read: {err.strerror}") from err


def find(place: Place, name: str) -> Snapshot:
    """The snapshot `name`.

    :raise InputMissing: when there is none.
    """
    there = read(place)
    for each in there:
        if each.name == name:
            return each
    others = ", ".join(each.name for each in there) or "none"
    raise InputMissing(
        f"the pet {place.name} has no snapshot {name!r}", hint=f"these are there: {others}"
    )


def refuse_twice(place: Place, name: str) -> None:
    """qemu-img itself would make a second one of that name.

    :raise AlreadyThere:
    """
    if any(each.name == name for each in read(place)):
        raise AlreadyThere(
            f"the pet {place.name} has a snapshot {name!r} already",
            hint=f"choose another name, or remove that one: berth snapshot delete {name}",
        )


def remark(place: Place, name: str, how: How, description: str) -> Taken:
    """Note how the snapshot `name`, just taken, was taken; it is there also if that cannot be."""
    there = read(place)
    made = next(each for each in there if each.name == name)
    _note(place, notes.load(place) | {name: Note(made.taken, how, description)}, there)
    return Taken(name, made.taken, made.disk_size, how, description)


def forget(place: Place) -> None:
    """Drop the notes on snapshots that are no more."""
    _note(place, notes.load(place), read(place))


def _note(place: Place, known: Mapping[str, Note], there: tuple[Snapshot, ...]) -> None:
    """What was changed is changed: on a full volume, say, a snapshot may be removed and its note
    cannot."""
    try:
        notes.save(place, known, there)
    except LauncherError as err:
        logger.warning("%s", err)


def moment(taken: int) -> str:
    """RFC 3339, UTC."""

    return rfc3339(taken // 1_000_000_000)
