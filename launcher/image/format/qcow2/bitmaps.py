"""The bitmaps in a qcow2 file: which parts of the disk changed since a backup.

Section "Bitmaps" of QEMU's specification; the bounds are QEMU's (block/qcow2-bitmap.c). Nobody
needs them in a base, and QEMU reads them nevertheless.
"""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from launcher.image.format.qcow2 import numbers
from launcher.image.format.qcow2.clusters import OFFSET, Clusters
from launcher.image.format.qcow2.header import BITMAPS, BITMAPS_BIT, Header
from launcher.image.format.refusal import damaged

MOST = 65535
MOST_BYTES = 512 << 20
MOST_DIRECTORY_BYTES = 64 << 20

# How many there are, zeros, length and place of their directory.
_EXTENSION = struct.Struct(">IIQQ")
# Place and length of its table, flags, type, granularity, the lengths of its name and extra data.
_ENTRY = struct.Struct(">QIIBBHI")

IN_USE, AUTO = 1, 2
DIRTY_TRACKING = 1
GRANULARITIES = range(9, 32)
NAME_LENGTHS = range(1, 1024)

ALL_ZEROS, ALL_ONES = 0, 1


class Table(NamedTuple):
    """Where the parts of a bitmap are: `entries` numbers at `offset`."""

    offset: int
    entries: int


def claim(file: BinaryIO, header: Header, clusters: Clusters) -> tuple[Table, ...]:
    """Note the directory of bitmaps, and the table of each; returns these.

    :raise ImageRefused: when they cannot be there.
    """
    extension = header.extension(BITMAPS)
    if extension is None or not header.autoclear & BITMAPS_BIT:
        # Whoever wrote to it last did not know bitmaps, so that QEMU does not look at them.
        return ()
    if len(extension) != _EXTENSION.size:
        raise damaged(f"what it says of its bitmaps has {len(extension)} bytes")
    count, zeros, length, offset = _EXTENSION.unpack(extension)
    if zeros or not 0 < count <= MOST or length > MOST_DIRECTORY_BYTES:
        raise damaged(f"it claims {count} bitmaps, with a directory of {length} bytes")
    clusters.claim("directory of bitmaps", offset, length)
    file.seek(offset)
    tables = tuple(_entries(file.read(length), count, header))
    for table in tables:
        clusters.claim("table of a bitmap", table.offset, table.entries * 8)
    return tables


def use(
    file: BinaryIO, tables: tuple[Table, ...], clusters: Clusters, go_on: Callable[[], None]
) -> None:
    """Count the clusters in which the bitmaps of `tables` are.

    :param go_on: asked before each table.
    :raise ImageRefused: when they cannot be there.
    :raise OverflowError: when a cluster is used more often than can be counted.
    """
    for table in tables:
        go_on()
        for offset in numbers.read(file, table.offset, table.entries):
            if offset in (ALL_ZEROS, ALL_ONES):
                continue
            if offset & ~OFFSET or offset % clusters.cluster_size or offset >= clusters.size:
                raise damaged(f"it has a bitmap that is not in it ({offset})")
            cluster = offset >> clusters.bits
            if clusters.tables[cluster]:
                raise damaged(f"its bitmap at {offset} lies in one of its tables")
            clusters.uses[cluster] += 1


def _entries(directory: bytes, count: int, header: Header) -> Iterator[Table]:
    at, names = 0, set[bytes]()
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise damaged("its directory of bitmaps is cut short")
        offset, entries, flags, kind, granularity, name, extra = _ENTRY.unpack_from(directory, at)
        is_known = (
            kind == DIRTY_TRACKING
            and not flags & ~(IN_USE | AUTO)
            and granularity in GRANULARITIES
            and name in NAME_LENGTHS
            and not extra
            and offset
            and entries
        )
        if not is_known:
            raise damaged(f"it has a bitmap of a kind not known here (entry at {at})")
        # One that is in use is read by nobody, and may be of the size that the disk had.
        fits = flags & IN_USE or entries == _needed(header, granularity)
        if entries << header.cluster_bits > MOST_BYTES or not fits:
            raise damaged(f"it has a bitmap that claims {entries} clusters")
        word = directory[at + _ENTRY.size : at + _ENTRY.size + name]
        if word in names:
            raise damaged(f"it has two bitmaps of one name ({word!r})")
        names.add(word)
        yield Table(offset, entries)
        # Each begins at a multiple of 8.
        at += -(-(_ENTRY.size + name) // 8) * 8
    if at != len(directory):
        raise damaged(f"its directory of bitmaps has {len(directory) - at} bytes too many")


def _needed(header: Header, granularity: int) -> int:
    """How many clusters a bitmap takes of which a bit stands for 2^`granularity` bytes."""
    bits = -(-header.virtual_size >> granularity)
    # QEMU writes words of 64 bits.
    words = -(-bits // 64)
    return -(-words * 8 >> header.cluster_bits)
