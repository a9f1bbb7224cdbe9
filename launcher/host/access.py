"""Whether we, or the user that QEMU runs as, may use a file; giving it to QEMU; saying why not.

Files stay ours and become accessible to QEMU by their group. So root goes on reading and writing
them without DAC_OVERRIDE and FOWNER, a container that runs wholly as QEMU's user finds them usable
later, and so does one in which QEMU is root again.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from launcher.host.account import Account, assumed
from launcher.host.errors import LauncherError, RightMissing, StorageError

READ, READ_WRITE, ENTER = os.R_OK, os.R_OK | os.W_OK, os.X_OK
WORDS = {READ: "read", READ_WRITE: "read and write", ENTER: "look into"}


def may(account: Account | None, path: Path, need: int) -> bool:
    """Whether `account`, or we if that is None, may use `path`."""
    with assumed(account):
        return os.access(path, need, effective_ids=True)


def grant(path: Path, account: Account | None, need: int) -> None:
    """See to it that QEMU, run as `account`, may use `path`.

    :raise RightMissing: when it may not, and we cannot change that.
    :raise StorageError: when trying to fails otherwise.
    """
    if account is None or may(account, path, need):
        return
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        # First, since it is refused where the file is not ours: then nothing was changed.
        path.chmod(mode | need << 3)
        try:
            os.chown(path, -1, account.gid)
        except OSError:
            path.chmod(mode)
            raise
    except OSError as err:
        raise _refused(path, account, need, err) from err
    if not may(account, path, need):
        raise _refused(path, account, need)


def hand_over(data: bytes, path: Path, account: Account | None) -> None:
    """Put `data` into a new file that nobody but us and `account` may read.

    :raise StorageError: when it cannot be written.
    """
    try:
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    except OSError as err:
        raise StorageError(f"{path} cannot be written: {err.strerror}") from err
    grant(path, account, READ)


def groups_of(account: Account, devices: Iterable[Path]) -> set[int]:
    """Groups that `account` has to join to open these device nodes.

    They are the container runtime's, so they are left as they are where they can be. Root's group
    is nobody's to join; what needs it is granted like a file.
    """
    found = set()
    for path in devices:
        if not may(account, path, READ_WRITE):
            status = path.stat()
            if status.st_gid and status.st_mode & 0o060 == 0o060:
                found.add(status.st_gid)
    return found


def described(path: Path) -> str:
    """Whose `path` is, and who we are: what a person has to compare."""
    try:
        status = path.stat()
    except OSError as err:
        return f"it cannot be looked at: {err.strerror}"
    groups = ",".join(map(str, sorted({os.getegid(), *os.getgroups()})))
    return (
        f"it belongs to {status.st_uid}:{status.st_gid} with mode "
        f"{stat.S_IMODE(status.st_mode):04o}, and this is uid {os.geteuid()} in groups {groups}"
    )


def _refused(path: Path, account: Account, need: int, err: OSError | None = None) -> LauncherError:
    with assumed(account):
        closed = _first_closed(path)
    if closed:
        return RightMissing(
            f"QEMU runs as {account} and cannot reach {path}: {_whose(closed)} keeps it out",
            hint=f"let everybody, or group {account.gid}, look into {closed}",
        )
    what = f"QEMU runs as {account} and may not {WORDS[need]} {_whose(path)}"
    if err is None:
        return RightMissing(what, hint=f"an access list may keep out group {account.gid}")
    if err.errno == errno.EROFS:
        return RightMissing(f"{what}, which is on a read-only volume", hint="mount it read-write")
    if err.errno in (errno.EPERM, errno.EACCES):
        return RightMissing(
            f"{what}; giving it to group {account.gid} is not allowed either",
            hint=f"do that outside: chgrp {account.gid} and chmod g+rw; or set fsGroup to "
            f"{account.gid}; or run the whole container as uid {account.uid}. Root needs the "
            "capability CHOWN, and on NFS an export without root_squash",
        )
    return StorageError(f"{what}, and giving it to group {account.gid} fails: {err.strerror}")


def _first_closed(path: Path) -> Path | None:
    """The topmost folder above `path` that the caller may not enter."""
    above = reversed(path.parents)
    return next((each for each in above if not os.access(each, ENTER, effective_ids=True)), None)


def _whose(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return str(path)
    mode = stat.S_IMODE(status.st_mode)
    return f"{path} ({status.st_uid}:{status.st_gid}, mode {mode:04o})"
