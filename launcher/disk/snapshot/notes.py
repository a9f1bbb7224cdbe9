"""What qcow2 has no place for: how a snapshot was taken, and what for. Kept beside the disk.

They are remarks and nothing depends on them: a snapshot is what the disk says it is. Each note has
the moment of its snapshot, so that none is read as another one's of the same name.
"""

import json
import logging
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from launcher.disk.place import Place, explained, replace
from launcher.image.format.qcow2.snapshots import Snapshot

logger = logging.getLogger("startvm")

FORMAT = 1
MAX_SIZE = 16 << 20


class How(StrEnum):
    """What a guest finds that is set back to a snapshot: a file system at rest, or one as after a
    power cut, which journals were made for; the VM was off."""

    FROZEN = "agent-frozen"
    CRASH = "crash-consistent"
    OFFLINE = "offline"
    UNKNOWN = "unknown"


class Note(NamedTuple):
    """`taken`: that of the snapshot it is about, in nanoseconds since the epoch."""

    taken: int
    how: How
    description: str = ""


def load(place: Place) -> dict[str, Note]:
    """The notes by the snapshots' names; none where they cannot be read or understood."""
    try:
        with place.notes.open("rb") as file:
            whole = json.loads(file.read(MAX_SIZE))
        if whole["format"] != FORMAT:
            raise ValueError(f"its format is {whole['format']}")
        return {name: _note(each) for name, each in whole["snapshots"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        logger.warning("the notes on snapshots in %s cannot be read: %r", place.notes, err)
        return {}


def save(place: Place, notes: Mapping[str, Note], there: tuple[Snapshot, ...]) -> None:
    """Write down the notes on those snapshots that are `there`.

    :raise StorageError: when that fails; RightMissing where we may not.
    """
    taken = {each.name: each.taken for each in there}
    kept = {name: note for name, note in notes.items() if taken.get(name) == note.taken}
    whole = {
        "format": FORMAT,
        "snapshots": {
            name: {"taken_ns": note.taken, "how": note.how, "description": note.description}
            for name, note in kept.items()
        },
    }
    with explained(f"writing the notes on snapshots {place.notes}", place.folder):
        replace(place.notes, (json.dumps(whole, indent=2) + "\n").encode())


def _note(fields: Mapping[str, Any]) -> Note:
    return Note(int(fields["taken_ns"]), How(fields["how"]), str(fields["description"]))
