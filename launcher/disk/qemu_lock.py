"""QEMU's own locks on an image, which keep a second VM off a disk.

They are open file description locks (fcntl(2)), which NFS takes to its server: they hold between
nodes. QEMU locks single bytes of the file, for each thing that it does with the image, and for each
that nobody else may do (block/file-posix.c: RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE).
"""

import errno
import fcntl
import os
import struct

# The first byte of either kind; each permission has the number of its bit (BLK_PERM_WRITE).
DOES, FORBIDS = 100, 200
WRITE = 1

# The length of a lock that ends where the file does.
ALL = 0

# struct flock of fcntl(2): type, whence, start, length, process.
FLOCK = struct.Struct("hhqqi4x")


def wait_for_all(fd: int) -> None:
    """Lock all of a file that is no image, as soon as nobody else has it, for as long as `fd`,
    which can be written to, is open.

    :raise OSError: where the file system has no such locks.
    """
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, _lock(fcntl.F_WRLCK, 0, ALL))


def is_held(fd: int) -> bool:
    """Whether anybody writes to the image, or lets nobody else write.

    :raise OSError: where the file system has no such locks.
    """
    return any(_is_locked(fd, each + WRITE) for each in (DOES, FORBIDS))


def forbid_writing(fd: int) -> bool:
    """Keep QEMU from writing to the image for as long as `fd` is open; programs that read may.

    False if somebody writes; True where the file system knows no such locks.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK, FORBIDS + WRITE))
        return not _is_locked(fd, DOES + WRITE)
    except OSError as err:
        return err.errno not in (errno.EAGAIN, errno.EACCES)


def _is_locked(fd: int, byte: int) -> bool:
    found = FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, byte)))
    return bool(found[0] != fcntl.F_UNLCK)


def _lock(kind: int, byte: int, length: int = 1) -> bytes:
    return FLOCK.pack(kind, os.SEEK_SET, byte, length, 0)
