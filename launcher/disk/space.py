"""How much space a disk's volume has, and how much of it the disk may still take."""

import os
from pathlib import Path
from typing import Literal, NamedTuple

from launcher.image.format.qcow2 import header
from launcher.image.format.qcow2.header import NotQcow2

# Of st_blocks, whatever the file system's own blocks are (stat(2)).
BLOCK = 512


class Backing(NamedTuple):
    """The file behind a disk. `size`: bytes as the guest sees it; None for a block device, which
    takes no space of any volume that can be seen from here. `format`: what QEMU was told of it."""

    path: Path
    size: int | None
    format: Literal["qcow2", "raw"]


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
        ours = 0 if _has_snapshots(backing) else file.st_blocks * BLOCK
    except OSError:
        return None
    return Space(
        path=backing.path,
        free=volume.f_bavail * volume.f_frsize,
        total=volume.f_blocks * volume.f_frsize,
        growth=max(0, backing.size - ours),
    )


def _has_snapshots(backing: Backing) -> bool:
    """Whether what a disk takes of its volume may be space that only its snapshots hold: then the
    guest may have to get every sector anew.

    QEMU makes and removes snapshots while the VM runs, and its locks keep nobody from reading.
    """
    if backing.format != "qcow2":
        return False
    try:
        return header.read(backing.path).snapshots > 0
    except NotQcow2:
        return True
