"""A second file with the same bytes, sharing them where the file system can."""

import errno
import fcntl
import os
from pathlib import Path

from launcher.host.durable import sync
from launcher.host.errors import StorageError
from launcher.image import space
from launcher.image.progress import size as shown_size

FICLONE = 0x40049409  # uapi/linux/fs.h
CHUNK = 64 << 20


def copy(source: Path, target: Path) -> None:
    """Make `target`, which must not be there, and make it last. Holes stay holes.

    :raise StorageError: when there is not enough space for it.
    :raise OSError: when it fails otherwise; `target` is its owner's to remove.
    """
    reading = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        writing = os.open(target, flags, 0o644)
        try:
            if not _clone(reading, writing):
                _require(source, target)
                os.ftruncate(writing, os.fstat(reading).st_size)
                _copy_data(reading, writing)
        finally:
            os.close(writing)
    finally:
        os.close(reading)
    sync(target)


def _clone(reading: int, writing: int) -> bool:
    try:
        fcntl.ioctl(writing, FICLONE, reading)
    except OSError as err:
        if err.errno in space.FULL:
            raise
        return False
    return True


def _require(source: Path, target: Path) -> None:
    needed, free = source.stat().st_blocks * 512, space.available(target.parent)
    if free is not None and free < needed:
        raise StorageError(
            f"there is too little space in {target.parent} for a second {source.name}: "
            f"{shown_size(needed)} are needed, {shown_size(free)} are free",
            hint="the pet's volume has to grow",
        )


def _copy_data(reading: int, writing: int) -> None:
    end, at = os.fstat(reading).st_size, 0
    while at < end:
        try:
            at = os.lseek(reading, at, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        until = os.lseek(reading, at, os.SEEK_HOLE)
        while at < until:
            at += _copy_some(reading, writing, min(CHUNK, until - at), at)


def _copy_some(reading: int, writing: int, length: int, at: int) -> int:
    try:
        done = os.copy_file_range(reading, writing, length, at, at)
    except OSError as err:
        if err.errno not in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL):
            raise
        done = 0
    # Some file systems copy nothing, and say so.
    return done or os.pwrite(writing, os.pread(reading, min(length, 1 << 20), at), at)
