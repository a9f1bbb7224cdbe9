"""What the next start is to do to the disk before the VM runs, written down beside it.

It is written by the launcher that then shuts the guest down, and QEMU ends with its launcher; so
there is never a guest that runs on while its disk waits to be set back. What it asks for may be
done several times over, since the VM does not run in between, and is forgotten when it is done: so
it is carried out once, whenever anything is killed.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from launcher.disk.place import Place, explained, replace
from launcher.host.durable import sync_names
from launcher.host.errors import StorageError
from launcher.image.store.record import Address

FORMAT = 1
MAX_SIZE = 64 * 1024


class Restore(NamedTuple):
    """Set the disk back to `snapshot`. `keep`: what the state before that is kept as, if at all."""

    snapshot: str
    keep: str

    def __str__(self) -> str:
        return f"restore the snapshot {self.snapshot}"


class Rebase(NamedTuple):
    """Move the disk to the base whose sha256 is `digest`, in hex, and which came from `source`."""

    digest: str
    source: Address

    def __str__(self) -> str:
        return f"move to the base sha256-{self.digest}"


Request = Restore | Rebase


def load(place: Place) -> Request | None:
    """What is asked for, if anything is.

    :raise StorageError: when it cannot be read or understood; starting as if nothing had been asked
        for would give a guest another disk than its owner expects.
    """
    try:
        with place.request.open("rb") as file:
            data = file.read(MAX_SIZE)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise StorageError(f"{place.request} cannot be read: {err}") from err
    try:
        return _from_json(json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise StorageError(
            f"what {place.request} asks for cannot be understood: {err!r}",
            hint="remove it to start the VM with its disk as it is",
        ) from err


def save(place: Place, request: Request) -> None:
    """:raise StorageError: when it cannot be made to last; RightMissing where we may not."""
    with explained(f"writing {place.request}", place.folder):
        replace(place.request, (json.dumps(_to_json(request), indent=2) + "\n").encode())


def forget(place: Place) -> None:
    """The same errors as for `save`."""
    with explained(f"removing {place.request}", place.folder):
        place.request.unlink(missing_ok=True)
        sync_names(place.folder)


def _to_json(request: Request) -> dict[str, Any]:
    match request:
        case Restore():
            asked = {"restore": request.snapshot, "keep": request.keep}
        case Rebase():
            shown, sha256 = request.source
            asked = {"rebase": request.digest, "source": shown, "source_sha256": sha256}
    return {"format": FORMAT, **asked}


def _from_json(whole: Mapping[str, Any]) -> Request:
    if whole["format"] != FORMAT:
        raise ValueError(f"its format is {whole['format']}; {FORMAT} is known here")
    texts = {key: value for key, value in whole.items() if isinstance(value, str)}
    if "restore" in texts:
        return Restore(texts["restore"], texts["keep"])
    return Rebase(texts["rebase"], Address(texts["source"], texts["source_sha256"]))
