"""A file that was proved becomes a base, whoever else does the same at the same moment."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.host.errors import Busy, StorageError
from launcher.image import temporary
from launcher.image.base import Base
from launcher.image.store import bases, finding, lease_files, naming, record
from launcher.image.store.record import MOST_ORIGINS, Origin, Record
from launcher.image.wanted import Wanted

TRIES = 10


def adopt(part: Path, want: Wanted, *, digest: str, virtual_size: int, origin: Origin) -> Base:
    """Make the proved file at `part` a base; a base with these bytes that is there already wins.

    :param part: on the shared volume; it is still there afterwards, for its owner to unlink.
    :param digest: sha256 of the file, in hex.
    :param virtual_size: bytes of the disk inside.
    :raise ImageRefused: when what is there already is not what it should be.
    """
    naming.check(want, digest)
    path = naming.base_path(want.folder, digest)
    fd = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o444)
        # Some file systems round the time of change, and some of them only later. Whole seconds
        # stay what they are, also through a backup.
        now = int(time.time()) * 1_000_000_000
        os.utime(fd, ns=(now, now))
        os.fsync(fd)
    finally:
        os.close(fd)
    for _ in range(TRIES):
        # It may be gone again at once, where somebody removes bases that no pet needs yet.
        with suppress(FileNotFoundError):
            known = _recorded(part, path, digest, virtual_size, origin)
            naming.give(want.folder, want.name, digest)
            return bases.base_of(want.folder, known, origin)
    if not part.exists():
        raise Busy(
            f"{path} was removed as soon as it was there, and has no other name on this volume",
            hint="somebody prunes the shared volume; started again, it is fetched again",
        )
    raise StorageError(f"{path} is removed again and again")


def _recorded(part: Path, path: Path, digest: str, virtual_size: int, origin: Origin) -> Record:
    """Give the file at `part` its name, unless there is one of that name, and write the record."""
    is_new = _link(part, path)
    with _alone(path):
        place = naming.record_path(path.parent, digest)
        known, status = record.read(place), path.stat()
        if not status.st_size:
            raise Busy(
                f"{path} is just being put in place by somebody else",
                hint="start it again; if it stays empty, `berth images prune --now` removes it",
            )
        if is_new and known and bases.difference(status, digest, known):
            known = None  # of a base that was removed since
        if known is not None:
            bases.is_unaltered(path.parent, digest, known)
        else:
            if not is_new:
                _prove(path, digest)
            # Of a base that was here before; or this one has been read to its end just now.
            with suppress(OSError):
                finding.remove(path.parent, digest)
            known = Record(digest, status.st_size, status.st_mtime_ns, virtual_size, ())
        others = [each for each in known.origins if each.address != origin.address]
        known = known._replace(origins=(origin, *others[: MOST_ORIGINS - 1]))
        temporary.write(place, known.to_json())
    return known


def _prove(path: Path, digest: str) -> None:
    """Read a base that has no record, left so by a crash at the wrong moment, to its end."""
    import hashlib

    with path.open("rb", buffering=0) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise bases.altered(path, f"its sha256 is {found}")


def _link(part: Path, path: Path) -> bool:
    """Give the file at `part` its name, atomically; False if something has that name."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:
        # No hard links (SMB, FUSE).
        return naming.rename(part, path)
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Add to the record of the base at `path` while nobody else does: two addresses may turn out
    to lead to the same bytes at the same time. Where there are no such locks, what the slower one
    wrote stays, and the other address is fetched once more some day."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            lease_files.lock(fd)
        yield
    finally:
        os.close(fd)
