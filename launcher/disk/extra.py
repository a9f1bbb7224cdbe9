"""The extra disks that are mounted into the container. Always raw, never probed."""

import stat
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import ImageRefused, InputMissing, StorageError

SECTOR = 512


class ExtraDisk(NamedTuple):
    """`is_block`: a block device rather than a file. `size`: bytes of a file."""

    path: Path
    is_block: bool
    size: int = 0


def find(volumes_dir: Path, disks_dir: Path) -> tuple[ExtraDisk, ...]:
    """Disks in the order the guest gets them: `volumes_dir/*.img`, then all of `disks_dir`, each
    in name order. Folders and hidden files are passed over, and a missing folder holds none.

    :raise InputMissing: when a name is a link to nothing.
    :raise ImageRefused: when it is neither a file nor a block device, or too small for a disk.
    :raise StorageError: when a folder cannot be read.
    """
    paths = [each for each in _names(volumes_dir) if each.suffix == ".img"] + _names(disks_dir)
    found = (_disk(path) for path in paths)
    return tuple(disk for disk in found if disk)


def _names(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as err:
        raise StorageError(f"the folder {folder} cannot be read: {err.strerror}") from err


def _disk(path: Path) -> ExtraDisk | None:
    try:
        status = path.stat()
    except FileNotFoundError as err:
        raise InputMissing(
            f"the extra disk {path} is a link to nothing", hint="mount what it links to, too"
        ) from err
    except OSError as err:
        raise StorageError(f"the extra disk {path} cannot be looked at: {err.strerror}") from err
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        return None
    if stat.S_ISBLK(mode):
        return ExtraDisk(path, is_block=True)
    if not stat.S_ISREG(mode):
        raise ImageRefused(f"the extra disk {path} is neither a file nor a block device")
    if status.st_size < SECTOR:
        raise ImageRefused(
            f"the extra disk {path} has {status.st_size} bytes; a disk has {SECTOR} or more",
            hint=f"truncate -s 10G {path.name} makes one of 10 GiB",
        )
    return ExtraDisk(path, is_block=False, size=status.st_size)
