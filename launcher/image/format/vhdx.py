"""Which VHDX images may be given to qemu-img: those of Hyper-V that stand alone, cleanly closed.

Layout and names: "[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format". Of two headers the one with
the higher sequence number counts, among those whose checksum is right. Numbers are little-endian.
"""

import struct
from collections.abc import Iterator
from functools import cache
from typing import IO
from uuid import UUID

from launcher.image.format.refusal import odd_size, refused

MIB = 1 << 20
SIGNATURE = b"vhdxfile"

HEADERS = (64 << 10, 128 << 10)
HEADER_SIZE = 4 << 10
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")

REGIONS = 192 << 10
TABLE_SIZE = 64 << 10
_REGIONS = struct.Struct("<4sIII")
_METADATA = struct.Struct("<8sHH20x")
_REGION = struct.Struct("<16sQII")
_ITEM = struct.Struct("<16sIII4x")

# As the specification has them; bytes of the file are in Microsoft's order.
BLOCKS = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
DISK_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
SECTOR_SIZE = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
PARENT = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le

HAS_PARENT = 1 << 1
# Sectors that one bitmap describes: after so many of them the block table has one more entry.
CHUNK_SECTORS = 1 << 23


def judge(file: IO[bytes], size: int, most: int) -> int:
    """Refuse a file of `size` bytes that may not be given to QEMU. Returns the disk's bytes.

    :param most: bytes of the largest disk that is accepted.
    :raise ImageRefused:
    """
    if size < MIB:
        raise refused("it ends inside its header")
    if _at(file, 0, len(SIGNATURE)) != SIGNATURE:
        raise refused("it does not start as a VHDX image does")
    _judge_log(file)
    regions = dict(_regions(file, size))
    if not {BLOCKS, METADATA} <= regions.keys():
        raise refused("it lacks its block table or its metadata")
    items = dict(_items(file, *regions[METADATA]))
    if PARENT in items:
        raise refused("it has a parent, another image that it changes")
    block, flags = struct.unpack("<II", _item(items, FILE_PARAMETERS, 8))
    disk = int.from_bytes(_item(items, DISK_SIZE, 8), "little")
    sector = int.from_bytes(_item(items, SECTOR_SIZE, 4), "little")
    if flags & HAS_PARENT:
        raise refused("it has a parent, another image that it changes")
    if not MIB <= block <= 256 * MIB or block & (block - 1) or sector not in (512, 4096):
        raise refused(f"it has blocks of {block} and sectors of {sector} bytes")
    if odd := odd_size(disk, most):
        raise refused(odd)
    if disk % sector:
        raise refused(f"its disk of {disk} bytes is not a whole number of sectors")
    blocks = -(-disk // block)
    entries = blocks + (blocks - 1) // (CHUNK_SECTORS * sector // block)
    if entries * 8 > regions[BLOCKS][1]:
        raise refused(
            f"its block table has {regions[BLOCKS][1]} bytes, too few for a disk of {disk} bytes"
        )
    return disk


def _judge_log(file: IO[bytes]) -> None:
    """Find the header that counts, and refuse one with changes that were never carried out."""
    newest = (-1, b"")
    for place in HEADERS:
        data = _at(file, place, HEADER_SIZE)
        signature, checksum, sequence, _, _, log, _, version, _, _ = _HEADER.unpack_from(data)
        if signature == b"head" and version == 1 and crc32c(data) == checksum:
            newest = max(newest, (sequence, log))
    if newest[0] < 0:
        raise refused("neither of its two headers is whole, or of version 1")
    if any(newest[1]):
        raise refused(
            "it was not closed cleanly: changes are left in its log. Attach it to Hyper-V once, "
            "with Mount-VHD say, which carries them out"
        )


def _regions(file: IO[bytes], size: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name of each region with its place and length in bytes."""
    data = _at(file, REGIONS, TABLE_SIZE)
    signature, checksum, count, _ = _REGIONS.unpack_from(data)
    if signature != b"regi" or count > 2047 or crc32c(data) != checksum:
        raise refused("its table of regions is damaged")
    for number in range(count):
        name, place, length, required = _REGION.unpack_from(data, 16 + 32 * number)
        if name not in (BLOCKS, METADATA):
            if required & 1:
                raise refused("it has a required region that is not known here")
            continue
        if place % MIB or length % MIB or place < MIB or not length or place + length > size:
            raise refused(
                f"its region of {length} bytes at {place} lies outside of it: the file is damaged "
                "or cut short"
            )
        yield name, (place, length)


def _items(file: IO[bytes], place: int, length: int) -> Iterator[tuple[bytes, bytes]]:
    """Name of each item of metadata with its first bytes."""
    data = _at(file, place, TABLE_SIZE)
    signature, _, count = _METADATA.unpack_from(data)
    if signature != b"metadata" or count > 2047:
        raise refused("its metadata are damaged")
    for number in range(count):
        name, offset, item_length, _ = _ITEM.unpack_from(data, 32 + 32 * number)
        if offset + item_length > length:
            raise refused("its metadata lie outside of their region")
        yield name, _at(file, place + offset, min(item_length, 16))


def _item(items: dict[bytes, bytes], name: bytes, length: int) -> bytes:
    found = items.get(name, b"")
    if len(found) < length:
        raise refused("its metadata say too little of the disk")
    return found[:length]


def _at(file: IO[bytes], place: int, length: int) -> bytes:
    file.seek(place)
    found = file.read(length)
    if len(found) < length:
        raise refused("it ends inside its tables: the file is cut short")
    return found


def crc32c(data: bytes) -> int:
    """The checksum of a header or table, whose own field, bytes 4 to 8, counts as zeros."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for byte in data[:4] + bytes(4) + data[8:]:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@cache
def _crc32c_table() -> tuple[int, ...]:
    """RFC 3720, appendix B.4: the polynomial of Castagnoli, lowest bit first."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
