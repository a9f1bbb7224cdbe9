"""What a user's metadata may say, in the spellings of OpenStack and of EC2, and what it means.

OpenStack writes `launch_index`, `availability_zone` and `public_keys`; EC2, and cloud-init after
it, write hyphens, and say `local-hostname` and `instance-id`. People mix them, so both are
understood for either kind of config drive. What is empty counts as not given.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from launcher.seed.yaml_text import Json

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
ORDINAL = re.compile(r"[^.]*-([0-9]{1,9})(\..*)?")

HOSTNAMES = ("hostname", "local-hostname")
LAUNCH_INDEXES = ("launch_index", "launch-index")
ZONES = ("availability_zone", "availability-zone")
PUBLIC_KEYS = ("public_keys", "public-keys")
TEXTS = ("uuid", "instance-id", "name", *HOSTNAMES, *ZONES)

# In OpenStack's format each of these names further files of the drive. cloud-init drops the whole
# drive when one is not there, and there are none.
FILE_KEYS = ("files", "network_config")


class Identity(NamedTuple):
    """What makes the guest itself, for life: the pet's name and the UUID that QEMU is given."""

    name: str
    uuid: str


def problems(given: Mapping[str, Json]) -> Iterator[str]:
    """Each thing that a reader in the guest would stumble over, as a clause with what is accepted.

    All other keys are the user's own and are passed on as they are.
    """
    for key in TEXTS:
        if isinstance(given.get(key), bool | list | dict):
            yield f"{key} is {json.dumps(given[key]):.40}; accepted: text"
    for key in LAUNCH_INDEXES:
        value = given.get(key, "")
        if value is not None and not re.fullmatch("([0-9]{1,9})?", json.dumps(value).strip('"')):
            yield f"{key} is {json.dumps(value):.40}; accepted: a whole number from 0"
    for key in PUBLIC_KEYS:
        if _named_keys(given.get(key)) is None:
            yield (
                f"{key} is not understood; accepted: an SSH public key, a list of them, or a "
                "mapping of names to them"
            )
    for key in FILE_KEYS:
        if given.get(key):
            yield (
                f"{key} names further files of the drive, and there are none; accepted: "
                "write_files in the user-data"
            )
    # The two that make cloud-init give up on the whole drive when they are of another type.
    if not isinstance(given.get("meta", {}), dict):
        yield "meta is not a mapping; accepted: a mapping of names to values"
    if "random_seed" in given and not _is_base64(given["random_seed"]):
        yield "random_seed is not understood; accepted: bytes in base64"


def _is_base64(value: Json) -> bool:
    import base64

    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except ValueError:
        return False


def text(value: Json) -> str:
    """A value as text; empty if it is none. Numbers are read back as they were written."""
    return "" if value is None or isinstance(value, bool | list | dict) else str(value)


def first_text(given: Mapping[str, Json], keys: tuple[str, ...]) -> str:
    """The text under the first of `keys` that is there; empty if there is none."""
    return next((found for key in keys if (found := text(given.get(key)))), "")


def wanted_uuid(given: Mapping[str, Json]) -> str | None:
    """The UUID that the metadata chooses for a new pet, if it does.

    A `uuid` that is none gives the name-based UUID (RFC 9562, version 5, in the namespace of
    domain names) of its text: metadata written for other launchers has host names there, and
    QEMU and SMBIOS take nothing but a UUID.
    """
    chosen = text(given.get("uuid"))
    if not chosen or UUID.fullmatch(chosen):
        return chosen.lower() or None
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_DNS, chosen))


def launch_index(given: Mapping[str, Json], name: str) -> int:
    """Which of several equal VMs this is: the metadata's word, else the ordinal that a StatefulSet
    puts at the end of a pod's name (3 for `web-3`), else 0."""
    said = first_text(given, LAUNCH_INDEXES)
    if said:
        return int(said)
    ordinal = ORDINAL.fullmatch(name)
    return int(ordinal[1]) if ordinal else 0


def public_keys(given: Mapping[str, Json]) -> dict[str, str]:
    """The SSH public keys, each under a name of its own.

    One key to a name is what OpenStack has, and what the readers in Fedora CoreOS (Afterburn)
    and Windows (cloudbase-init) insist on; cloud-init itself takes any shape.
    """
    named: dict[str, str] = {}
    for spelling in PUBLIC_KEYS:
        for name, key in _named_keys(given.get(spelling)) or ():
            while name in named:
                name += "+"
            named[name] = key
        if named:
            break
    return named


def _named_keys(value: Json) -> list[tuple[str, str]] | None:
    """Names and keys; None for a value of no known shape."""
    if not isinstance(value, dict):
        return _keys("key", value)
    found: list[tuple[str, str]] = []
    for name, item in value.items():
        # In EC2's shape a name has a mapping of formats to keys.
        keys = _keys(name, item.get("openssh-key") if isinstance(item, dict) else item)
        if keys is None:
            return None
        found += keys
    return found


def _keys(name: str, value: Json) -> list[tuple[str, str]] | None:
    """The keys of a list, or of a text with one in a line as authorized_keys has them."""
    lines = value.splitlines() if isinstance(value, str) else [] if value is None else value
    if not isinstance(lines, list):
        return None
    keys: list[str] = []
    for line in lines:
        if not isinstance(line, str):
            return None
        if line.strip() and not line.lstrip().startswith("#"):
            keys.append(line.strip())
    if len(keys) == 1:
        return [(name, keys[0])]
    return [(f"{name}-{number}", key) for number, key in enumerate(keys)]
