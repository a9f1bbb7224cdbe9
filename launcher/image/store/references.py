"""Which pets stand on a base: written down on the shared volume, since pets are on their own.

::

    sha256-<hex>.pets/<namespace>_<name>_<uuid>.json    one pet that needs the base

All three, since none of them is a pet's alone: a copy of a pet's volume brings its UUID along, and
all replicas have the one that their metadata asks for.

A pet's reference is there before the pet is, and a base is only removed where there are none. Both
sides write first and look afterwards, so that one of them sees the other: who starts looks for the
base once more when its reference is there, and who removes hides the base before it looks for
references. One file in a folder of its own: that there is none is what rmdir(2) checks.

All of this is on the way of every start.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from launcher.host.durable import sync_names

FOLDER = re.compile(r"sha256-([0-9a-f]{64})\.pets")
STORED = re.compile(r"([0-9A-Za-z_.-]+)\.json")

# Characters. With the digest before it, a file name ends at 255.
LONGEST_STEM = 170

# Somebody who removes bases may remove the folder while we write into it; not for ever, though.
TRIES = 10


class Reference(NamedTuple):
    """`digest`: the base's. `uuid`, `name`, `namespace`: whose it is; the last one is empty if not
    known. `host`: of the pod in which it was started last. `first`, `last`: its first and its last
    start, RFC 3339, empty if not known."""

    digest: str
    uuid: str
    name: str
    host: str = ""
    namespace: str = ""
    first: str = ""
    last: str = ""

    @property
    def pet(self) -> tuple[str, str, str]:
        """What two references of one pet have in common, and those of two pets never."""
        return self.namespace, self.name, self.uuid

    @property
    def stem(self) -> str:
        """What its file is called. Host names have no underscores, nor have namespaces."""
        stem = "_".join(self.pet)
        if len(stem) <= LONGEST_STEM:
            return stem
        import hashlib

        return f"{hashlib.sha256(stem.encode()).hexdigest()}_{self.uuid}"


def folder(shared: Path, digest: str) -> Path:
    return shared / f"sha256-{digest}.pets"


def is_there(shared: Path, reference: Reference) -> bool:
    return _path(shared, reference).exists()


def write(shared: Path, reference: Reference, *, lasting: bool = False) -> None:
    """Write or renew a reference; when the pet was started first stays.

    :param lasting: wait until it would survive a power cut.
    :raise OSError: where it cannot be written.
    """
    path = _path(shared, reference)
    before = _read(path, reference.digest)
    whole = reference._replace(first=(before.first if before else "") or reference.first)
    # Made where the bases are and moved from there: both folders then change at our hand, and NFS
    # does not go on believing what it knew about either of them.
    part = shared / f"sha256-{reference.digest}.{reference.stem}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(part, flags, 0o644), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text(whole))
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        _move(part, path)
    except OSError:
        with suppress(OSError):
            folder(shared, reference.digest).rmdir()
        raise
    finally:
        part.unlink(missing_ok=True)
    if lasting:
        for each in (path.parent, shared):
            sync_names(each)


def text(reference: Reference) -> str:
    """What is in the file of a reference."""
    return json.dumps(reference._asdict(), indent=2) + "\n"


def remove(shared: Path, reference: Reference) -> None:
    """Remove the reference of a pet to a base, if it is there, whatever its file is called.

    :raise OSError: where it cannot be removed.
    """
    digest = reference.digest
    for path, each in _all(shared, digest):
        if path == _path(shared, reference) or each.pet == reference.pet:
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder(shared, digest).rmdir()


def read(shared: Path, digest: str) -> tuple[Reference, ...]:
    """All references to a base, by name. One that cannot be understood still is one."""
    found = (each for _, each in _all(shared, digest))
    return tuple(sorted(found, key=lambda each: (each.name, each.uuid, each.namespace)))


def needed_by(shared: Path, pet: Reference) -> set[str]:
    """The digests of all bases that the pet of a reference needs.

    :raise OSError: where the volume cannot be read.
    """
    found = (FOLDER.fullmatch(each.name) for each in shared.iterdir())
    return {each[1] for each in found if each and is_there(shared, pet._replace(digest=each[1]))}


def _path(shared: Path, reference: Reference) -> Path:
    return folder(shared, reference.digest) / f"{reference.stem}.json"


def _all(shared: Path, digest: str) -> Iterator[tuple[Path, Reference]]:
    with suppress(FileNotFoundError):
        for each in folder(shared, digest).iterdir():
            match = STORED.fullmatch(each.name)
            known = _read(each, digest) if match else None
            yield each, known or Reference(digest, match[1] if match else each.name, "?")


def _read(path: Path, digest: str) -> Reference | None:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        known = Reference(**{key: str(whole[key]) for key in Reference._fields})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return known._replace(digest=digest)


def _move(part: Path, path: Path) -> None:
    for _ in range(TRIES):
        with suppress(FileNotFoundError):
            with suppress(FileExistsError):
                path.parent.mkdir()
                # Pods of other users write here, too, where the volume has a group for that. Where
                # it has no modes, they need none.
                with suppress(OSError):
                    path.parent.chmod(0o775)
            part.rename(path)
            return
    raise FileNotFoundError(f"{path.parent} is removed again and again")
