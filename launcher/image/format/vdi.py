"""Which VDI images may be given to qemu-img: VirtualBox' dynamic and static ones, that stand alone.

QEMU's driver (block/vdi.c) reads a block that lies beyond the end of the file as zeros, so the map
of blocks is looked through here. Layout: the header's in that driver, and in VirtualBox'
VDICore.h; numbers are little-endian.
"""

import struct
import sys
from array import array
from typing import IO, NamedTuple

from launcher.image.format.refusal import odd_size, refused

SECTOR = 512
BLOCK = 1 << 20
VERSION = 1 << 16 | 1
DYNAMIC, STATIC, UNDO, DIFFERENCING = 1, 2, 3, 4

# Map entries from here on mean a block of zeros.
DISCARDED = 0xFFFFFFFE

# From the magic, at byte 64, on: version, type, places of map and data, sizes, four UUIDs.
_HEADER = struct.Struct("<64x4sI4xI4x256xII12xI4xQI4xI4x32x16s16s")


class _Header(NamedTuple):
    magic: bytes
    version: int
    type: int
    map: int
    data: int
    sector: int
    disk: int
    block: int
    blocks: int
    link: bytes
    parent: bytes

    @property
    def blocks_needed(self) -> int:
        return -(-self.disk // BLOCK)


def judge_start(start: bytes, most: int) -> None:
    """Refuse by the header, `start` being the first 2 MiB or all there is.

    :param most: bytes of the largest disk that is accepted.
    :raise ImageRefused:
    """
    header = _header(start)
    if header.version != VERSION:
        version = f"{header.version >> 16}.{header.version & 0xFFFF}"
        raise refused(f"it is a VDI image of version {version}; 1.1 is known")
    if header.type in (UNDO, DIFFERENCING) or any(header.link + header.parent):
        raise refused("it has a parent, another image that it changes")
    if header.type not in (DYNAMIC, STATIC):
        raise refused(f"it is of the type {header.type}; dynamic and static ones are known")
    if (header.sector, header.block) != (SECTOR, BLOCK):
        raise refused(
            f"it has sectors of {header.sector} and blocks of {header.block} bytes; QEMU reads "
            f"those of {SECTOR} and {BLOCK}"
        )
    if odd := odd_size(header.disk, most):
        raise refused(odd)
    if header.map % SECTOR or header.data % SECTOR or header.map < SECTOR:
        raise refused(f"its block map is at {header.map} and its data at {header.data}")
    if not header.blocks_needed <= header.blocks <= header.blocks_needed + 1:
        raise refused(
            f"its block map claims {header.blocks} blocks of 1 MiB for a disk of {header.disk} "
            "bytes"
        )


def judge(file: IO[bytes], size: int, most: int) -> int:
    """Refuse a file of `size` bytes that may not be given to QEMU. Returns the disk's bytes.

    :raise ImageRefused:
    """
    file.seek(0)
    start = file.read(SECTOR)
    judge_start(start, most)
    header = _header(start)
    # What QEMU makes of a size that is not one of whole sectors.
    disk = -(-header.disk // SECTOR) * SECTOR
    if header.map + header.blocks * 4 > min(size, header.data):
        raise refused("its block map runs into its data: the file is damaged or cut short")
    file.seek(header.map)
    blocks = array("I", file.read(header.blocks * 4))
    if sys.byteorder == "big":
        blocks.byteswap()
    used = [each for each in blocks if each < DISCARDED]
    if len(set(used)) != len(used) or max(used, default=0) >= header.blocks:
        raise refused("its block map contradicts itself")
    end = header.data + (max(used, default=-1) + 1) * BLOCK
    if end > size:
        raise refused(f"it has {size} bytes, and blocks up to {end}: the file is cut short")
    return disk


def _header(start: bytes) -> _Header:
    if len(start) < SECTOR:
        raise refused("it ends inside its header")
    return _Header(*_HEADER.unpack_from(start))
