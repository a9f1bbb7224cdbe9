"""Lease files: which there are, and one look at one of them."""

import errno
import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from launcher.image.store.lease import NAME, SIZE, Claim, Kernel, Lock

# How a file system says that it has no such locks.
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class Seen(NamedTuple):
    """One look at the lease `generation`. `here`: the one who looks. `claim`: None if its record
    was not whole."""

    generation: int
    claim: Claim | None
    lock: Lock
    here: Kernel

    @property
    def id(self) -> str:
        return self.claim.id if self.claim else ""


def path(folder: Path, key: str, generation: int) -> Path:
    return folder / f"fetch-{key}.lease-{generation}"


def mark(lease: Path) -> Path:
    """What a follower leaves beside `lease`."""
    return lease.with_name(f"{lease.name}.followed")


def generations(folder: Path, key: str) -> list[int]:
    """Those that there are, the one in force last."""
    found = (NAME.fullmatch(each.name) for each in folder.iterdir())
    return sorted(int(match[2]) for match in found if match and match[1] == key)


def look(folder: Path, key: str, boot: str) -> Seen | None:
    """Look at the lease in force; None if there is none."""
    for generation in reversed(generations(folder, key)):
        seen = look_at(path(folder, key, generation), generation, boot)
        if seen:
            return seen
    return None


def look_at(lease: Path, generation: int, boot: str) -> Seen | None:
    """Look at one lease; None if it is gone.

    It is opened for each look: that is when NFS asks its server what is in the file by now.
    """
    try:
        fd = os.open(lease, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        here = Kernel(boot, os.fstat(fd).st_dev)
        claim = _read(fd)
        if claim and not claim.locked:
            # Trying for a lock would keep the holder from writing, where locks do (see `lock`).
            return Seen(generation, claim, "unknown", here)
        lock = _lock(fd)
        return Seen(generation, _read(fd), lock, here)
    except OSError as err:
        if err.errno == errno.ESTALE:
            return None
        raise
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Lock a file that is not empty; False where there are no such locks, or not such as we need.

    On SMB the lock keeps everybody from reading the file, ourselves by another descriptor as well
    (Linux 5.5 and later). Such a lock is given back at once.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as err:
        if err.errno in NO_LOCKS:
            return False
        raise
    other = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.pread(other, 1, 0)
    except PermissionError:
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False
    finally:
        os.close(other)
    return True


def _read(fd: int) -> Claim | None:
    try:
        return Claim.from_bytes(os.pread(fd, SIZE, 0))
    except PermissionError:
        return None  # locked so that nobody can read it


def _lock(fd: int) -> Lock:
    """See whether anybody has the lock. A shared one, so that followers are not in each other's
    way; it is given back at once."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return "held"
    except OSError as err:
        if err.errno in NO_LOCKS:
            return "unknown"
        raise
    fcntl.flock(fd, fcntl.LOCK_UN)
    return "free"
