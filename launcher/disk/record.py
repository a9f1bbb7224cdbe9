"""The pet's record: who the VM is and which base its disk stands on, kept beside the disk.

The disk alone could not tell: its header has a path, but other bytes may have come to be at that
path, and a guest whose UUID or MAC changed believes it is another machine.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from launcher.disk.place import Place, explained, sync_names
from launcher.host.errors import StorageError
from launcher.image.store.record import Address

FORMAT = 1

# Ours has less than 1 KiB. A larger one is something else.
MAX_SIZE = 64 * 1024


class PetRecord(NamedTuple):
    """What stays the same for the pet's life.

    `base_digest`: sha256 of the base's file in hex; `base_path`: the full path that the disk's
    header has; `base_size`: bytes of that file. `source`: where the base came from, without
    secrets. `mac`: six octets in hex, with colons. `created`: RFC 3339, UTC.
    """

    name: str
    uuid: str
    mac: str
    base_digest: str
    base_path: Path
    base_size: int
    source: Address
    created: str


def load(place: Place) -> PetRecord | None:
    """The pet's record, None if there is none.

    :raise StorageError: when it cannot be read or understood. It is left as it is.
    """
    try:
        with place.record.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise StorageError(f"the pet's record {place.record} cannot be read: {err}") from err
    if len(data) > MAX_SIZE:
        raise _unreadable(place, f"it has more than {MAX_SIZE} bytes")
    try:
        whole = json.loads(data)
        number = whole["format"]
        if isinstance(number, int) and number > FORMAT:
            raise StorageError(
                f"the pet's record {place.record} has format {number}; {FORMAT} is known here",
                hint="a newer Berth made this pet: run it with that one",
            )
        record = _from_json(whole)
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise _unreadable(place, repr(err)) from err
    if record.name != place.name:
        raise StorageError(
            f"the pet's record {place.record} is that of the pet {record.name!r}",
            hint=f"give both files their old names, or run it with VM_NAME={record.name}",
        )
    return record


def save(place: Place, record: PetRecord) -> None:
    """Write the record, so that at every moment there is all of it or nothing.

    :raise StorageError: when that fails; RightMissing where we may not.
    """
    with explained(f"writing the pet's record {place.record}", place.folder):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(place.new_record, flags, 0o644), "wb") as file:  # noqa: PTH123
            file.write(_to_json(record).encode())
            file.flush()
            os.fsync(file.fileno())
        place.new_record.rename(place.record)
        sync_names(place.folder)


def mac_of(name: str) -> str:
    """The MAC of the VM `name`: 06:fe, where the first Berth's began too, and a digest of the name.

    06 is the first octet of addresses that are nobody's (locally administered, unicast).
    """
    from hashlib import sha256

    return ":".join(f"{octet:02x}" for octet in b"\x06\xfe" + sha256(name.encode()).digest()[:4])


def new_uuid() -> str:
    import uuid

    return str(uuid.uuid4())


def _to_json(record: PetRecord) -> str:
    whole = {
        "format": FORMAT,
        "name": record.name,
        "uuid": record.uuid,
        "mac": record.mac,
        "created": record.created,
        "source": record.source.shown,
        "source_sha256": record.source.sha256,
        "base": {
            "sha256": record.base_digest,
            "path": str(record.base_path),
            "size": record.base_size,
        },
    }
    return json.dumps(whole, indent=2) + "\n"


def _from_json(whole: Mapping[str, Any]) -> PetRecord:
    """:raise ValueError: or KeyError, TypeError, when it is not a record."""
    base = whole["base"]
    texts = {key: whole[key] for key in ("name", "uuid", "mac", "created", "source")}
    texts |= {key: base[key] for key in ("sha256", "path")}
    for key, value in texts.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"{key} is {value!r}, not a text")
    if type(base["size"]) is not int:
        raise ValueError(f"size is {base['size']!r}, not a number")
    return PetRecord(
        name=texts["name"],
        uuid=texts["uuid"],
        mac=texts["mac"],
        base_digest=texts["sha256"],
        base_path=Path(texts["path"]),
        base_size=base["size"],
        source=Address(texts["source"], str(whole.get("source_sha256", ""))),
        created=texts["created"],
    )


def _unreadable(place: Place, why: str) -> StorageError:
    return StorageError(
        f"the pet's record {place.record} cannot be understood: {why}",
        hint=f"put it back from a copy; without it {place.disk.name} is not touched",
    )
