"""The bases on the shared volume, named by what is in them.

::

    sha256-<hex>.qcow2   a base: 0444, never written to again, never replaced
    sha256-<hex>.json    its record
    sha256-<hex>.altered what was found out against it: see `finding`
    <IMG_TARGET>         a symbolic link to a base; people's name for it
    sha256-<hex>.pets/   which pets stand on it: see `references`
    *.part               a fetch under way; never read by anybody else
    fetch-<key>.*        who fetches what: see `lease`

An overlay stores its base's path. If other bytes ever came to be at that path, every pet on it
would be corrupted with nobody noticing, `qemu-img check` included; hence names by content, and
size and time of change compared with the record each time a base is used. Where that is not
enough, `verify` reads the base to its end.

`find` and `load` are on the way of every start: no network, no heavy imports, and no hashing but of
a file at IMG_SOURCE that may be another image by now. For a pet that is there, nobody asks.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.host.errors import ImageRefused, StorageError
from launcher.host.timestamp import rfc3339
from launcher.image.base import Base
from launcher.image.source import stamp
from launcher.image.store import finding, naming, record
from launcher.image.store.record import Origin, Record
from launcher.image.wanted import Wanted, is_foreign, wanted
from launcher.settings.parse import Checksum
from launcher.settings.table import Settings

logger = logging.getLogger("startvm")


def find(settings: Settings) -> Base | None:
    """The base the settings ask for, if it is there: right name, right source, right checksum.

    A checksum that is a digest says all there is to say about the bytes, so a base that has it is
    taken whatever address it came from.

    :raise ImageRefused: when it is there but was altered.
    :raise StorageError: when the shared volume cannot be read.
    """
    with _failures(settings.shared_dir):
        want = wanted(settings)
        digest = naming.named(want.folder / want.name)
        known = record.read(naming.record_path(want.folder, digest)) if digest else None
        if digest is None or known is None:
            return None
        origins = [each for each in known.origins if _fits(each, want.source, want.checksum)]
        if not origins or not is_unaltered(want.folder, digest, known):
            return None
        return base_of(want.folder, known, origins[0])


def load(shared_dir: Path, digest: str) -> Base | None:
    """The base whose sha256 is `digest`, None if it is not there.

    :raise ImageRefused: when it was altered since it was proved.
    :raise StorageError: when the shared volume cannot be read.
    """
    with _failures(shared_dir):
        known = record.read(naming.record_path(shared_dir, digest))
        if known is None:
            if not naming.base_path(shared_dir, digest).exists():
                return None
            raise altered(naming.base_path(shared_dir, digest), "its record is missing or damaged")
        if not is_unaltered(shared_dir, digest, known):
            return None
        return base_of(shared_dir, known, known.origins[0])


def is_there(shared_dir: Path, digest: str) -> bool:
    """Whether the base and its record are both there, and nothing more than that."""
    known = record.read(naming.record_path(shared_dir, digest))
    return known is not None and naming.base_path(shared_dir, digest).exists()


def reserve(want: Wanted) -> None:
    """Make sure that the base could be put in place, before it is fetched.

    :raise StorageError: when there is no shared volume.
    :raise ImageRefused: when something else has the name.
    """
    if not want.folder.is_dir():
        raise StorageError(
            f"SHARED_DIR={str(want.folder)!r} is not there",
            hint="mount the shared volume there; bases are kept on it",
        )
    if is_foreign(want.folder / want.name):
        raise ImageRefused(
            f"{want.folder / want.name} is there already, and Berth did not put it there; nothing "
            "is overwritten",
            hint="move it away, or give the base another name with IMG_TARGET",
        )


def reuse(want: Wanted) -> Base | None:
    """A base that has the digest asked for, under whatever name; it gets the name asked for too,
    if the volume can be written to.

    One that has no record is as good as not there: it is just being put in place, or it is proved
    when what was fetched again turns out to be the same.

    :raise ImageRefused: when it is there but was altered, or the name is another base's own.
    """
    if want.checksum is None or want.checksum.algorithm != "sha256" or not want.checksum.digest:
        return None
    if record.read(naming.record_path(want.folder, want.checksum.digest)) is None:
        return None
    base = load(want.folder, want.checksum.digest)
    if base is not None:
        naming.check(want, base.digest)
        try:
            naming.give(want.folder, want.name, base.digest)
        except OSError as err:
            logger.warning("%s cannot be named %s: %s", base.path.name, want.name, err.strerror)
    return base


def base_of(folder: Path, known: Record, origin: Origin) -> Base:
    path = naming.base_path(folder, known.digest)
    return Base(path, known.digest, known.size, known.virtual_size, origin.address.shown)


def _fits(origin: Origin, source: str | None, checksum: Checksum | None) -> bool:
    if source is None:
        return True  # whatever has the name
    if not origin.satisfies(checksum):
        return False
    if checksum is not None and checksum.digest:
        return True
    if not origin.address.names(source):
        return False
    if "://" in source:
        return True
    return stamp.is_still(Path(source), origin.stamp, origin.digests.get("sha256", ""))


def difference(status: os.stat_result, digest: str, known: Record | None) -> str:
    """What is different in a base from its record, as far as a glance tells; empty if nothing."""
    if known is None:
        return "its record is missing or damaged"
    differences = []
    if known.digest != digest:
        differences.append(f"its record is of another base, sha256 {known.digest}")
    if status.st_size != known.size:
        differences.append(f"it has {status.st_size} bytes and had {known.size}")
    if status.st_mtime_ns != known.mtime_ns:
        then, now = (_time(ns) for ns in (known.mtime_ns, status.st_mtime_ns))
        differences.append(f"it was changed at {now}, after it was proved at {then}")
    return " and ".join(differences)


def is_unaltered(folder: Path, digest: str, known: Record) -> bool:
    """False if the base is not there; True if it is what its record says.

    :raise ImageRefused: when it differs from its record, or was found to have other bytes.
    """
    place = naming.base_path(folder, digest)
    try:
        status = place.lstat()
    except FileNotFoundError:
        return False
    if why := difference(status, digest, known):
        raise altered(place, why)
    if found := finding.read(folder, digest, known):
        raise altered(
            place,
            str(found),
            "once it has its bytes again, `berth images --verify` lets it be used",
        )
    return True


def altered(path: Path, why: str, remedy: str = "") -> ImageRefused:
    return ImageRefused(
        f"the base {path} is not what it was: {why}",
        hint="`berth images` tells which pets stand on it: they may be damaged. Where none does, "
        "`berth images prune --now` removes it, and it is fetched again"
        + (f"; {remedy}" if remedy else ""),
    )


def _time(ns: int) -> str:
    return rfc3339(ns // 1_000_000_000)


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StorageError(
            f"the shared volume {folder} cannot be read: {err.strerror or err}"
        ) from err
