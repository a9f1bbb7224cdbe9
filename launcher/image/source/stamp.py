"""Whether a file is still the one that was read once: by a glance where that tells, else by its
bytes.

Builds that can be repeated give all files one time of change, so that two images at one path may
have the same size and the same time: a Kubernetes image volume has whatever is in the image now.
"""

import logging
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Self

logger = logging.getLogger("startvm")

SECOND = 1_000_000_000


class Stamp(NamedTuple):
    """What `stat` tells of a file: bytes, nanoseconds since 1970, numbers of its file system.

    Berth wrote down the first two only, once; the others are 0 then.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0
    device: int = 0

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(
            status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev
        )

    @property
    def is_certain(self) -> bool:
        """Whether no other bytes can have the same stamp.

        Nobody can set a file's ctime but the kernel, to the moment of each change (inode(7)); two
        images are not unpacked in the same nanosecond. A file system that was built as a whole
        (squashfs, EROFS) may have one that was asked for, though, and that is in whole seconds, as
        SOURCE_DATE_EPOCH is.
        """
        return self.ctime_ns % SECOND != 0


def is_still(path: Path, known: Stamp | None, sha256: str) -> bool:
    """Whether the file at `path` has the bytes that it had when it was read; or is gone.

    Never true of other bytes. It reads the file only where size and time of change are the same
    and the rest of the stamp is not, or tells nothing.

    :param known: its stamp then, if it was written down.
    :param sha256: of its bytes then, in hex.
    """
    try:
        status = path.stat()
    except OSError:
        return True  # the file served its purpose
    now = Stamp.of(status)
    if not stat.S_ISREG(status.st_mode):
        return False
    if known is not None:
        if (now.size, now.mtime_ns) != (known.size, known.mtime_ns):
            return False
        if now == known and now.is_certain:
            return True
    return _digest(path, now) == sha256


@lru_cache(maxsize=4)
def _digest(path: Path, now: Stamp) -> str:
    """sha256 of the file, empty if it cannot be read or changes; a start asks several times."""
    import hashlib

    logger.info("reading %s, to know whether it is the image that the base was made of", path)
    try:
        with path.open("rb", buffering=0) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest if Stamp.of(os.fstat(file.fileno())) == now else ""
    except OSError:
        return ""
