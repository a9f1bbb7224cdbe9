"""How much space a disk's volume has, and how much of it the disk may still take."""

import os
from pathlib import Path
from typing import NamedTuple

# Of st_blocks, whatever the file system's own blocks are (stat(2)).
BLOCK = 512


class Backing(NamedTuple):
    """The file behind a disk. `size`: bytes as the guest sees it; None for a block device, which
    takes no space of any volume that can be seen from here."""

    path: Path
    size: int | None


class Space(NamedTuple):
    """Bytes. `free` of `total` on the volume that `path` is on; `growth`: what the disk may still
    take of it at most, if every sector that has no space yet is written."""

    path: Path
    free: int
    total: int
    growth: int

    @property
    def missing(self) -> int:
        """Bytes that the volume lacks for the disk never to be in want of space."""
        return max(0, self.growth - self.free)


def look(backing: Backing) -> Space | None:
    """The space there is now; None where a volume's does not count or cannot be read.

    It waits for the storage, which may take for ever.
    """
    if backing.size is None:
        return None
    try:
        volume, file = os.statvfs(backing.path), backing.path.stat()
    except OSError:
        return None
    return Space(
        path=backing.path,
        free=volume.f_bavail * volume.f_frsize,
        total=volume.f_blocks * volume.f_frsize,
        growth=max(0, backing.size - file.st_blocks * BLOCK),
    )
