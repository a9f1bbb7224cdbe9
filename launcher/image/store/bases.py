"""The bases on the shared volume, named by what is in them.

::

    sha256-<hex>.qcow2   a base: 0444, never written to again, never replaced
    sha256-<hex>.json    its record
    <IMG_TARGET>         a symbolic link to a base; people's name for it
    sha256-<hex>.pets/   which pets stand on it: see `references`
    *.part               a fetch under way; never read by anybody else
    fetch-<key>.*        who fetches what: see `lease`

An overlay stores its base's path. If other bytes ever came to be at that path, every pet on it
would be corrupted with nobody noticing, `qemu-img check` included; hence names by content, and
size and time of change compared with the record each time a base is used.

`find` and `load` are on the way of every start: no network, no hashing, no heavy imports.
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.host.errors import Busy, ImageRefused, StorageError
from launcher.image import temporary
from launcher.image.base import Base
from launcher.image.store import lease_files, record
from launcher.image.store.record import MOST_ORIGINS, Origin, Record
from launcher.image.wanted import STORED, Wanted, is_foreign, wanted
from launcher.settings.parse import Checksum
from launcher.settings.table import Settings

logger = logging.getLogger("startvm")

TRIES = 10


def find(settings: Settings) -> Base | None:
    """The base the settings ask for, if it is there: right name, right source, right checksum.

    A checksum that is a digest says all there is to say about the bytes, so a base that has it is
    taken whatever address it came from.

    :raise ImageRefused: when it is there but was altered.
    :raise StorageError: when the shared volume cannot be read.
    """
    with _failures(settings.shared_dir):
        want = wanted(settings)
        digest = named(want.folder / want.name)
        known = record.read(record_path(want.folder, digest)) if digest else None
        if digest is None or known is None:
            return None
        origins = [each for each in known.origins if _fits(each, want.source, want.checksum)]
        if not origins or not _unaltered(want.folder, digest, known):
            return None
        return _base(want.folder, known, origins[0])


def load(shared_dir: Path, digest: str) -> Base | None:
    """The base whose sha256 is `digest`, None if it is not there.

    :raise ImageRefused: when it was altered since it was proved.
    :raise StorageError: when the shared volume cannot be read.
    """
    with _failures(shared_dir):
        known = record.read(record_path(shared_dir, digest))
        if known is None:
            if not base_path(shared_dir, digest).exists():
                return None
            raise _refused(base_path(shared_dir, digest), "its record is missing or damaged")
        if not _unaltered(shared_dir, digest, known):
            return None
        return _base(shared_dir, known, known.origins[0])


def is_there(shared_dir: Path, digest: str) -> bool:
    """Whether the base and its record are both there, and nothing more than that."""
    known = record.read(record_path(shared_dir, digest))
    return known is not None and base_path(shared_dir, digest).exists()


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
    if record.read(record_path(want.folder, want.checksum.digest)) is None:
        return None
    base = load(want.folder, want.checksum.digest)
    if base is not None:
        _check_name(want, base.digest)
        try:
            _give_name(want.folder, want.name, base.digest)
        except OSError as err:
            logger.warning("%s cannot be named %s: %s", base.path.name, want.name, err.strerror)
    return base


def adopt(part: Path, want: Wanted, *, digest: str, virtual_size: int, origin: Origin) -> Base:
    """Make the proved file at `part` a base; a base with these bytes that is there already wins.

    :param part: on the shared volume; it is still there afterwards, for its owner to unlink.
    :param digest: sha256 of the file, in hex.
    :param virtual_size: bytes of the disk inside.
    :raise ImageRefused: when what is there already is not what it should be.
    """
    _check_name(want, digest)
    path = base_path(want.folder, digest)
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
            _give_name(want.folder, want.name, digest)
            return _base(want.folder, known, origin)
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
        place = record_path(path.parent, digest)
        known, status = record.read(place), path.stat()
        if not status.st_size:
            raise Busy(
                f"{path} is just being put in place by somebody else",
                hint="start it again; if it stays empty, `berth images prune --now` removes it",
            )
        if is_new and known and difference(status, digest, known):
            known = None  # of a base that was removed since
        if known is not None:
            _unaltered(path.parent, digest, known)
        else:
            if not is_new:
                _prove(path, digest)
            known = Record(digest, status.st_size, status.st_mtime_ns, virtual_size, ())
        others = [each for each in known.origins if each.address != origin.address]
        known = known._replace(origins=(origin, *others[: MOST_ORIGINS - 1]))
        _write_record(place, known)
    return known


def base_path(folder: Path, digest: str) -> Path:
    """Where the base whose sha256 is `digest` is."""
    return folder / f"sha256-{digest}.qcow2"


def record_path(folder: Path, digest: str) -> Path:
    """Where its record is."""
    return folder / f"sha256-{digest}.json"


def _base(folder: Path, known: Record, origin: Origin) -> Base:
    path = base_path(folder, known.digest)
    return Base(path, known.digest, known.size, known.virtual_size, origin.address.shown)


def named(place: Path) -> str | None:
    """The digest of the base that `place` names."""
    try:
        name = str(place.readlink())
    except FileNotFoundError:
        return None
    except OSError:  # no link, but maybe a base itself
        name = place.name
    match = STORED.fullmatch(name)
    return match[1] if match else None


def _fits(origin: Origin, source: str | None, checksum: Checksum | None) -> bool:
    if source is None:
        return True  # whatever has the name
    if not origin.satisfies(checksum):
        return False
    if checksum is not None and checksum.digest:
        return True
    if not origin.address.names(source):
        return False
    if not origin.mtime_ns:
        return True
    try:
        status = Path(source).stat()
    except OSError:
        return True  # the file served its purpose
    return (status.st_size, status.st_mtime_ns) == (origin.size, origin.mtime_ns)


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


def _unaltered(folder: Path, digest: str, known: Record) -> bool:
    """False if the base is not there; True if it is what its record says.

    :raise ImageRefused: when it differs from its record.
    """
    place = base_path(folder, digest)
    try:
        status = place.lstat()
    except FileNotFoundError:
        return False
    if why := difference(status, digest, known):
        raise _refused(place, why)
    return True


def _refused(path: Path, why: str) -> ImageRefused:
    return ImageRefused(
        f"the base {path} is not what it was: {why}",
        hint="`berth images` tells which pets stand on it: they may be damaged. Where none does, "
        "`berth images prune --now` removes it, and it is fetched again",
    )


def _check_name(want: Wanted, digest: str) -> None:
    stored = STORED.fullmatch(want.name)
    if stored and stored[1] != digest:
        raise ImageRefused(
            f"IMG_TARGET={want.name!r} is the name of one base, and the image is another, sha256 "
            f"{digest}",
            hint="any other name will do, or none",
        )


def _prove(path: Path, digest: str) -> None:
    """Read a base that has no record, left so by a crash at the wrong moment, to its end."""
    import hashlib

    with path.open("rb", buffering=0) as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != digest:
        raise _refused(path, f"its sha256 is {found}")


def _link(part: Path, path: Path) -> bool:
    """Give the file at `part` its name, atomically; False if something has that name."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:
        # No hard links (SMB, FUSE).
        return rename(part, path)
    return True


def rename(old: Path, new: Path) -> bool:
    """Give a file another name, unless something has that. What it replaces is an empty file that
    holds the name meanwhile: the same bytes with another time of change would be refused."""
    try:
        new.touch(0o644, exist_ok=False)
    except FileExistsError:
        return False
    try:
        old.rename(new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
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


def _write_record(path: Path, known: Record) -> None:
    with temporary.file(path.parent, path.name) as part:
        with part.open("w", encoding="utf-8") as file:
            file.write(known.to_json())
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        part.replace(path)


def _give_name(folder: Path, name: str, digest: str) -> None:
    """Make `name` a link to the base, replacing an older link in one step, and make it last."""
    target = base_path(folder, digest).name
    place = folder / name
    if name != target and named(place) != digest:
        with temporary.file(folder, name) as part:
            part.unlink()
            part.symlink_to(target)
            part.replace(place)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Not every network file system has this; there, names are made to last by the server.
        with suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)


def _time(ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // 1_000_000_000))


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise StorageError(
            f"the shared volume {folder} cannot be read: {err.strerror or err}"
        ) from err
