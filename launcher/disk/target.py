"""The file that an export becomes: seen to beforehand, named at the end."""

import os
from contextlib import suppress
from pathlib import Path

from launcher.host import access
from launcher.host.errors import (
    AlreadyThere,
    Busy,
    InputMissing,
    LauncherError,
    RightMissing,
    StorageError,
)
from launcher.host.storage import LOCK_WORDS
from launcher.image.progress import size as shown_size
from launcher.image.space import FORBIDDEN, FULL, available


def check(target: Path) -> None:
    """Refuse a target that could not be written, before anything is begun.

    :raise AlreadyThere: when something has that name.
    :raise InputMissing: when there is no such folder.
    :raise RightMissing: when it may not be written to.
    """
    if not target.is_absolute() or not target.name:
        raise InputMissing(
            f"{str(target)!r} is no full path of a file", hint="such as /volumes/backup/web.qcow2"
        )
    if os.path.lexists(target):
        raise AlreadyThere(f"{target} is there already; nothing is overwritten")
    if not target.parent.is_dir():
        raise InputMissing(
            f"the folder {target.parent} is not there", hint="mount a volume there, or make it"
        )
    if not access.may(None, target.parent, access.READ_WRITE | access.ENTER):
        raise _forbidden(target)


def name(part: Path, target: Path) -> None:
    """Give the file at `part` its name, unless something has it by now.

    :raise AlreadyThere:
    """
    try:
        os.link(part, target)
    except FileExistsError as err:
        raise AlreadyThere(f"{target} is there by now; nothing is overwritten") from err
    except OSError:
        # No hard links (SMB, FUSE).
        check(target)
        part.rename(target)


def _forbidden(target: Path) -> RightMissing:
    return RightMissing(
        f"the folder {target.parent} may not be written to: {access.described(target.parent)}",
        hint="mount the volume read-write, and with fsGroup for a user other than root",
    )


def failure(words: str, target: Path, number: int = 0) -> LauncherError:
    """What to say when exporting to `target` fails.

    :param words: the system's, or qemu-img's.
    :param number: the system's error, where it is known.
    """
    if number in FORBIDDEN:
        return _forbidden(target)
    if LOCK_WORDS in words:
        return Busy(
            f"exporting to {target}: another process writes to the disk: {words}",
            hint="a VM that runs in another pod is exported from there",
        )
    if number in FULL or "No space left" in words:
        free = 0
        with suppress(OSError):
            free = available(target.parent) or 0
        return StorageError(
            f"exporting to {target}: its volume is full; {shown_size(free)} are free by now"
        )
    return StorageError(f"exporting to {target}: {words or 'qemu-img said nothing'}")
