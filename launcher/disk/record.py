"""The pet's record: who the VM is and which base its disk stands on, kept beside the disk.

The disk alone could not tell: its header has a path, but other bytes may have come to be at that
path, and a guest whose UUID or MAC changed believes it is another machine.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from launcher.disk.place import Place, explained, publish, replace
from launcher.host.errors import Busy, StorageError
from launcher.image.store.record import Address

FORMAT = 1

# Ours has less than 1 KiB. A larger one is something else.
MAX_SIZE = 64 * 1024


class Former(NamedTuple):
    """The base that a pet stood on before it was moved to another one; fields as in the record."""

    base_digest: str
    base_path: Path
    base_size: int
    source: Address


class PetRecord(NamedTuple):
    """What stays the same for the pet's life, but for its base, where it is moved to another one.

    `base_digest`: sha256 of the base's file in hex; `base_path`: the full path that the disk's
    header has; `base_size`: bytes of that file. `source`: where the base came from, without
    secrets. `mac`: six octets in hex, with colons. `created`: RFC 3339, UTC. `former`: while the
    disk as it was on another base is still kept, what that stands on.
    """

    name: str
    uuid: str
    mac: str
    base_digest: str
    base_path: Path
    base_size: int
    source: Address
    created: str
    former: Former | None = None

    @property
    def base(self) -> Former:
        """What it stands on, as the next record will have it once it is moved away from there."""
        return Former(self.base_digest, self.base_path, self.base_size, self.source)

    def moved(self, to: Former) -> "PetRecord":
        """The record of the same pet on another base, with its present one as the former."""
        return self._replace(**to._asdict(), former=self.base)


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
        replace(place.record, _to_json(record).encode())


def begin(place: Place, record: PetRecord) -> None:
    """Write a new pet's record, as `save` does. There is one pet, whoever else makes it too.

    :raise Busy: when there is a record by now.
    """
    with explained(f"writing the pet's record {place.record}", place.folder):
        if not publish(place.record, _to_json(record).encode()):
            raise Busy(
                f"somebody else has made the pet {place.name} meanwhile: {place.record} is there",
                hint="a pet runs once; another pod seems to be starting it",
            )


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
    whole: dict[str, Any] = {
        "format": FORMAT,
        "name": record.name,
        "uuid": record.uuid,
        "mac": record.mac,
        "created": record.created,
        **_base_to_json(record.base),
    }
    if record.former:
        whole["before_rebase"] = _base_to_json(record.former)
    return json.dumps(whole, indent=2) + "\n"


def _base_to_json(base: Former) -> dict[str, Any]:
    return {
        "source": base.source.shown,
        "source_sha256": base.source.sha256,
        "base": {
            "sha256": base.base_digest,
            "path": str(base.base_path),
            "size": base.base_size,
        },
    }


def _from_json(whole: Mapping[str, Any]) -> PetRecord:
    """:raise ValueError: or KeyError, TypeError, when it is not a record."""
    base = _base_from_json(whole)
    former = whole.get("before_rebase")
    return PetRecord(
        name=_text(whole, "name"),
        uuid=_text(whole, "uuid"),
        mac=_text(whole, "mac"),
        created=_text(whole, "created"),
        **base._asdict(),
        former=None if former is None else _base_from_json(former),
    )


def _base_from_json(whole: Mapping[str, Any]) -> Former:
    base = whole["base"]
    digest, path, size = _text(base, "sha256"), _text(base, "path"), base["size"]
    if type(size) is not int:
        raise ValueError(f"size is {size!r}, not a number")
    return Former(
        base_digest=digest,
        base_path=Path(path),
        base_size=size,
        source=Address(_text(whole, "source"), str(whole.get("source_sha256", ""))),
    )


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is {value!r}, not a text")
    return value


def _unreadable(place: Place, why: str) -> StorageError:
    return StorageError(
        f"the pet's record {place.record} cannot be understood: {why}",
        hint=f"put it back from a copy; without it {place.disk.name} is not touched",
    )
