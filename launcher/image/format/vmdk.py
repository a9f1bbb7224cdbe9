"""Which VMDK images may be given to qemu-img: those whose one file holds all of the disk.

A VMDK image is a header, tables and a text, the descriptor, which names the files that the data
are in. QEMU opens those wherever they are: as extents if the header says that the disk has no
sectors of its own, as a parent if the descriptor has one. So everything that QEMU's driver
(block/vmdk.c) would look at is looked at here. Layout: VMware's "Virtual Disk Format 5.0";
numbers are little-endian, offsets in sectors.
"""

import re
import struct
from typing import IO, NamedTuple

from launcher.image.format.refusal import odd_size, refused

SECTOR = 512
MAGIC = b"KDMV"
_HEADER = struct.Struct("<4sIIQQQQIQQQx4sH")

# The grain directory's place as long as it is not known; then a copy of the header near the end of
# the file, the footer, counts.
AT_END = 0xFFFFFFFFFFFFFFFF
FOOTER, END_OF_STREAM = 3, 0
_MARKER = struct.Struct("<QII496x")

HAS_SECOND_DIRECTORY = 1 << 1

# Where QEMU reads the descriptor, and how much of it at least, whatever the header says.
DESCRIPTOR = 1
DESCRIPTOR_SECTORS = 20
MOST_DESCRIPTOR_SECTORS = 128

ENTRIES_PER_TABLE = 512
LEAST_GRAIN, MOST_GRAIN = 8, 2048

ALONE = ("monolithicsparse", "streamoptimized")
NO_PARENT = "ffffffff"
EXTENT = re.compile(r'(rw|rdonly|noaccess)\s+[0-9]+\s+(\w+)(?:\s+"([^"]*)")?(?:\s+[0-9]+)?', re.I)


class _Header(NamedTuple):
    magic: bytes
    version: int
    flags: int
    capacity: int
    grain: int
    descriptor: int
    descriptor_sectors: int
    entries_per_table: int
    second_directory: int
    directory: int
    overhead: int
    line_ends: bytes
    compression: int


def judge_start(start: bytes, most: int) -> None:
    """Refuse by the header and the descriptor, `start` being the first 2 MiB or all there is.

    :param most: bytes of the largest disk that is accepted.
    :raise ImageRefused:
    """
    header = _header(start[:SECTOR])
    _judge_header(header, most)
    if header.descriptor != DESCRIPTOR:
        raise refused("its descriptor is not where QEMU reads it, in the second sector")
    if not 0 < header.descriptor_sectors <= MOST_DESCRIPTOR_SECTORS:
        raise refused(
            f"its descriptor claims {header.descriptor_sectors} sectors; 1 to "
            f"{MOST_DESCRIPTOR_SECTORS} are accepted"
        )
    sectors = max(header.descriptor_sectors, DESCRIPTOR_SECTORS)
    _judge_descriptor(start[DESCRIPTOR * SECTOR : (DESCRIPTOR + sectors) * SECTOR])


def judge(file: IO[bytes], size: int, most: int) -> int:
    """Refuse a file of `size` bytes that may not be given to QEMU. Returns the disk's bytes.

    :raise ImageRefused:
    """
    file.seek(0)
    start = file.read((1 + MOST_DESCRIPTOR_SECTORS) * SECTOR)
    judge_start(start, most)
    header = _header(start[:SECTOR])
    if header.directory == AT_END:
        header = _footer(file, size)
        _judge_header(header, most)
    entries = -(-header.capacity // (header.grain * ENTRIES_PER_TABLE))
    directories = [header.directory]
    if header.flags & HAS_SECOND_DIRECTORY:
        directories.append(header.second_directory)
    for place in directories:
        if not 0 < place <= size // SECTOR or place * SECTOR + entries * 4 > size:
            raise refused("its grain directory lies outside of it: the file is cut short")
    if header.overhead * SECTOR > size:
        raise refused("its tables do not end before it does: the file is cut short")
    return header.capacity * SECTOR


def _header(sector: bytes) -> _Header:
    if len(sector) < SECTOR:
        raise refused("it ends inside its header")
    return _Header(*_HEADER.unpack_from(sector))


def _footer(file: IO[bytes], size: int) -> _Header:
    """The header's copy near the end: a marker, the copy, and the marker of the stream's end."""
    sectors = -(-size // SECTOR)
    file.seek(max(0, sectors - 3) * SECTOR)
    found = file.read(3 * SECTOR).ljust(3 * SECTOR, b"\0")
    footer = _header(found[SECTOR : 2 * SECTOR])
    before, behind = _MARKER.unpack_from(found), _MARKER.unpack_from(found, 2 * SECTOR)
    if (
        footer.magic != MAGIC
        or before[1:] != (0, FOOTER)
        or behind != (0, 0, END_OF_STREAM)
        or footer.directory == AT_END
    ):
        raise refused("it does not end as a stream does: the file is cut short")
    return footer


def _judge_header(header: _Header, most: int) -> None:
    if header.version not in (1, 2, 3):
        raise refused(f"it is a VMDK image of version {header.version}; 1 to 3 are known")
    if header.line_ends != b"\n \r\n":
        raise refused("it was altered by a transfer as text")
    if header.capacity == 0:
        raise refused("it holds no disk; its descriptor names other files to take it from")
    if odd := odd_size(header.capacity * SECTOR, most):
        raise refused(odd)
    if not LEAST_GRAIN <= header.grain <= MOST_GRAIN or header.grain & (header.grain - 1):
        raise refused(
            f"its grains have {header.grain} sectors; powers of 2 from {LEAST_GRAIN} to "
            f"{MOST_GRAIN} are accepted"
        )
    if header.entries_per_table != ENTRIES_PER_TABLE:
        raise refused(
            f"its grain tables have {header.entries_per_table} entries instead of "
            f"{ENTRIES_PER_TABLE}"
        )
    if header.compression > 1:
        raise refused(f"its grains are packed in a way not known here ({header.compression})")


def _judge_descriptor(area: bytes) -> None:
    """Refuse what makes QEMU open another file, and all that is not understood."""
    # Wherever in what QEMU reads this stands, what follows it is the parent's name.
    if b"parentfilenamehint" in area.lower():
        raise refused("it has a parent, another image that it changes")
    text = area.partition(b"\0")[0].decode("utf-8", "replace")
    values: dict[str, str] = {}
    extents: list[re.Match[str]] = []
    for line in map(str.strip, text.splitlines()):
        key, equals, value = line.partition("=")
        if extent := EXTENT.fullmatch(line):
            extents.append(extent)
        elif equals and re.fullmatch(r"[\w.]+", key.strip()):
            values[key.strip().lower()] = value.strip().strip('"').lower()
        elif line and not line.startswith("#"):
            raise refused(f"its descriptor has a line that is not known: {line[:80]!r}")
    kind = values.get("createtype", "")
    if kind not in ALONE:
        raise refused(
            f"it is of the type {kind[:40]!r}, whose disk is in other files; accepted: "
            "monolithicSparse and streamOptimized"
        )
    if values.get("parentcid") != NO_PARENT:
        raise refused("it has a parent, another image that it changes")
    if len(extents) != 1:
        raise refused(f"its descriptor names {len(extents)} files; accepted: itself alone")
    access, type_, name = extents[0].groups("")
    if access.lower() == "noaccess" or type_.upper() != "SPARSE":
        raise refused(
            f"its data are {access} {type_[:20]}, kept in another file; accepted: SPARSE, in itself"
        )
    if not re.fullmatch(r"[^/\\:]{1,255}", name):
        raise refused(f"its data are said to be in {name[:80]!r}; accepted: in itself")
