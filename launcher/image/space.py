"""What to say when the shared volume is full, or fails otherwise; and to say it early."""

import errno
import os
from pathlib import Path

from launcher.host.access import described
from launcher.host.errors import LauncherError, RightMissing, StorageError
from launcher.image.progress import size

FULL = (errno.ENOSPC, errno.EDQUOT)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)

HINT = "the shared volume has to grow, or bases that no pet needs have to go"


def require(folder: Path, needed: int) -> None:
    """Refuse to begin what cannot end.

    :param needed: bytes to be written, at the least.
    :raise StorageError: when the file system says that it has less.
    """
    free = available(folder)
    if free is not None and free < needed:
        raise StorageError(
            f"{folder} has not enough space: {_bytes(needed)} are needed, {_bytes(free)} are "
            "available",
            hint=HINT,
        )


def available(folder: Path) -> int | None:
    """Free bytes; None where the file system does not say (some of FUSE's say 0 of 0)."""
    status = os.statvfs(folder)
    if not status.f_blocks:
        return None
    blocks = status.f_bfree if os.geteuid() == 0 else status.f_bavail
    return blocks * status.f_frsize


def failure(
    err: OSError, folder: Path, *, written: int = 0, total: int | None = None
) -> LauncherError:
    """The error for a write that failed after `written` bytes of `total`, if that is known."""
    if err.errno in FORBIDDEN:
        return RightMissing(
            f"SHARED_DIR={str(folder)!r} may not be written to: {err.strerror}; "
            f"{described(folder)}",
            hint="mount the shared volume read-write, and with fsGroup for a user other than root",
        )
    if err.errno not in FULL:
        return StorageError(f"writing to {folder} failed: {err.strerror or err}")
    free = available(folder)
    needed = "more is" if total is None else f"{_bytes(total)} are"
    left = "" if free is None else f", {_bytes(free)} are available"
    return StorageError(
        f"{folder} is full: {_bytes(written)} were written, {needed} needed{left}", hint=HINT
    )


def _bytes(count: int) -> str:
    return f"{count} bytes" if count < 1024 else f"{count} bytes ({size(count)})"
