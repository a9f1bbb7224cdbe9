"""Which pets stand on a base: written down on the shared volume, since pets are on their own.

::

    sha256-<hex>.pets/<uuid>.json    one pet that needs the base

A pet's reference is there before the pet is, and a base is only removed where there are none. Both
sides write first and look afterwards, so that one of them sees the other: who starts looks for the
base once more when its reference is there, and who removes hides the base before it looks for
references. One file in a folder of its own: that there is none is what rmdir(2) checks.

All of this is on the way of every start.
"""

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FOLDER = re.compile(r"sha256-([0-9a-f]{64})\.pets")
STORED = re.compile(r"([0-9A-Za-z-]+)\.json")

# Somebody who removes bases may remove the folder while we write into it; not for ever, though.
TRIES = 10


class Reference(NamedTuple):
    """`digest`: the base's. `host`: of the pod in which it was started last; `namespace`: empty if
    not known. `first`, `last`: its first and its last start, RFC 3339, empty if not known."""

    digest: str
    uuid: str
    name: str
    host: str = ""
    namespace: str = ""
    first: str = ""
    last: str = ""


def folder(shared: Path, digest: str) -> Path:
    return shared / f"sha256-{digest}.pets"


def is_there(shared: Path, digest: str, uuid: str) -> bool:
    return _path(shared, digest, uuid).exists()


def write(shared: Path, reference: Reference, *, lasting: bool = False) -> None:
    """Write or renew a reference; when the pet was started first stays.

    :param lasting: wait until it would survive a power cut.
    :raise OSError: where it cannot be written.
    """
    path = _path(shared, reference.digest, reference.uuid)
    before = _read(path, reference.digest)
    whole = reference._replace(first=(before.first if before else "") or reference.first)
    # Made where the bases are and moved from there: both folders then change at our hand, and NFS
    # does not go on believing what it knew about either of them.
    part = shared / f"sha256-{reference.digest}.{reference.uuid}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(part, flags, 0o644), "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(whole._asdict(), file, indent=2)
            file.write("\n")
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        _move(part, path)
    finally:
        part.unlink(missing_ok=True)
    if lasting:
        for each in (path.parent, shared):
            _sync_names(each)


def remove(shared: Path, digest: str, uuid: str) -> None:
    """Remove a reference, if it is there.

    :raise OSError: where it cannot be removed.
    """
    _path(shared, digest, uuid).unlink(missing_ok=True)
    with suppress(OSError):
        folder(shared, digest).rmdir()


def read(shared: Path, digest: str) -> tuple[Reference, ...]:
    """All references to a base, by name. One that cannot be understood still is one."""
    place = folder(shared, digest)
    found = []
    with suppress(FileNotFoundError):
        for each in place.iterdir():
            match = STORED.fullmatch(each.name)
            known = _read(each, digest) if match else None
            found.append(known or Reference(digest, match[1] if match else each.name, "?"))
    return tuple(sorted(found, key=lambda each: (each.name, each.uuid)))


def needed_by(shared: Path, uuid: str) -> set[str]:
    """The digests of all bases that the pet needs.

    :raise OSError: where the volume cannot be read.
    """
    found = (FOLDER.fullmatch(each.name) for each in shared.iterdir())
    return {each[1] for each in found if each and is_there(shared, each[1], uuid)}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _path(shared: Path, digest: str, uuid: str) -> Path:
    return folder(shared, digest) / f"{uuid}.json"


def _read(path: Path, digest: str) -> Reference | None:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        known = Reference(**{key: str(whole[key]) for key in Reference._fields})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return known._replace(digest=digest, uuid=path.stem)


def _move(part: Path, path: Path) -> None:
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            with suppress(FileExistsError):
                path.parent.mkdir()
                # Pods of other users write here, too, where the volume has a group for that.
                path.parent.chmod(0o775)
            part.rename(path)
            return
    raise FileNotFoundError(f"{path.parent} is removed again and again")


def _sync_names(place: Path) -> None:
    """Make names last, where the file system knows how."""
    with suppress(OSError):
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
