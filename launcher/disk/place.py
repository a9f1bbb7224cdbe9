"""Where a pet is kept, how a file there is made to last, and what to say when that fails."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from launcher.host.access import described
from launcher.host.durable import sync_names
from launcher.host.errors import Busy, CommandFailed, LauncherError, RightMissing, StorageError
from launcher.host.storage import LOCK_WORDS

FULL = (errno.ENOSPC, errno.EDQUOT)
# link(2): EPERM where the file system has no links; FUSE passes on what the program behind it says.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class Place(NamedTuple):
    """The names of one pet's files in `folder`, the pet's volume."""

    folder: Path
    name: str

    @property
    def disk(self) -> Path:
        return self.folder / f"{self.name}.qcow2"

    @property
    def new_disk(self) -> Path:
        """What the disk is called until it is complete and has its record."""
        return self.folder / f"{self.name}.qcow2.new"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def new_record(self) -> Path:
        return self.folder / f"{self.name}.json.new"

    @property
    def lock(self) -> Path:
        """Empty, and never removed: who removed it could leave two with a lock on one each."""
        return self.folder / f"{self.name}.lock"

    @property
    def begun(self) -> Path:
        """What is known of a pet that is being made."""
        return self.folder / f"{self.name}.begun"

    @property
    def holder(self) -> Path:
        return self.folder / f"{self.name}.holder.json"

    @property
    def new_holder(self) -> Path:
        return self.folder / f"{self.name}.holder.json.new"

    @property
    def notes(self) -> Path:
        """What is known of the disk's snapshots besides the disk itself."""
        return self.folder / f"{self.name}.qcow2.snapshots"

    @property
    def request(self) -> Path:
        """What the next start is to do to the disk first."""
        return self.folder / f"{self.name}.qcow2.request"

    @property
    def rebasing(self) -> Path:
        """A copy of the disk that is being moved to another base."""
        return self.folder / f"{self.name}.qcow2.rebasing"

    @property
    def former(self) -> Path:
        """The disk as it was before it was moved to another base."""
        return self.folder / f"{self.name}.qcow2.before-rebase"


def replace(path: Path, data: bytes) -> None:
    """Write a small file, so that at every moment there is all of it or nothing, and make it last.

    :raise OSError:
    """
    new, _ = _write(path, data)
    new.rename(path)
    sync_names(path.parent)


def publish(path: Path, data: bytes) -> bool:
    """The same for a file that must not be there yet. False if it is: of several that do this at
    once, on several nodes, one has its way.

    Where the file system has no links, only a lock that all of them take can promise that.

    :raise OSError:
    """
    new, ours = _write(path, data)
    try:
        os.link(new, path)
    except FileExistsError:
        # It may be ours: NFS asks again when it has missed the answer.
        if not os.path.samestat(ours, path.lstat()):
            return False
    except OSError as err:
        if err.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            return False
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)
    sync_names(path.parent)
    return True


def _write(path: Path, data: bytes) -> tuple[Path, os.stat_result]:
    """Write what is to become `path`; the name that it has until then, and which file it is."""
    new = path.with_name(f"{path.name}.new")
    # What a crash left may be the file at `path` itself, by a second name.
    new.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(new, flags, 0o644), "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return new, os.fstat(file.fileno())


@contextmanager
def explained(doing: str, folder: Path) -> Iterator[None]:
    """Turn a failure of the system or of a program into one that tells what to do.

    :param doing: what fails, as a clause: `making the pet web-0`.
    :param folder: the volume that is written to.
    """
    try:
        yield
    except (OSError, CommandFailed) as err:
        raise explain(err, doing, folder) from err


def explain(err: OSError | CommandFailed, doing: str, folder: Path) -> LauncherError:
    if isinstance(err, CommandFailed):
        words = err.stderr or str(err)
        # Programs pass on the system's reasons in its own words.
        known = (number for number in FULL + FORBIDDEN if os.strerror(number) in words)
        number = next(known, 0)
    else:
        words, number = err.strerror or str(err), err.errno or 0
    if LOCK_WORDS in words:
        return Busy(
            f"{doing}: another process has it open: {words}",
            hint="a pet runs once; the other pod has to end first",
        )
    if number in FULL:
        return StorageError(
            f"{doing}: there is too little space in {folder}{_space(folder)}",
            hint="the pet's volume has to grow",
        )
    if number in FORBIDDEN:
        return RightMissing(
            f"{doing}: PET_DIR={str(folder)!r} may not be written to: {words}; {described(folder)}",
            hint="mount the pet's volume read-write, and with fsGroup for a user other than root",
        )
    return StorageError(f"{doing}: {words}")


def _space(folder: Path) -> str:
    from launcher.image.progress import size

    try:
        status = os.statvfs(folder)
    except OSError:
        return ""
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    return f": {size(free)} of {size(total)} are free"
