"""Whole qcow2 images, as small as they come: every table they need, in a cluster each."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tests.unit.image.format.qcow2.headers import CLUSTER_BITS, header

CLUSTER = 1 << CLUSTER_BITS
COPIED, COMPRESSED = 1 << 63, 1 << 62

# What the clusters of an image are.
HEADER, TABLE, BLOCK, L1, L2, DATA, PACKED, FREE = (number * CLUSTER for number in range(8))
SIZE = FREE

# The words of the tables, where they are to be others: their number, and what they are.
Words = Mapping[int, int]
NOTHING: Words = MappingProxyType({})


def packed(offset: int, sectors: int) -> int:
    """An L2 entry: of data that begins at byte `offset`, and has parts of so many `sectors`."""
    return COMPRESSED | (sectors - 1) << (62 - (CLUSTER_BITS - 8)) | offset


def image(
    *,
    l1: Words = NOTHING,
    l2: Words = NOTHING,
    table: Words = NOTHING,
    counts: Words = NOTHING,
    more: Mapping[int, bytes] = MappingProxyType({}),
    cut: int = 0,
    **fields: Any,
) -> bytes:
    """An image of a disk of 1 MiB: a cluster of data, one that is packed, one of zeros.

    :param counts: of reference counts, by cluster.
    :param more: what else is in it, by place.
    :param cut: how many bytes are missing at its end.
    :param fields: of its header, where that is to be another.
    """
    places = {"l1_offset": L1, "l1_entries": 1, "refcount_table_offset": TABLE}
    entries = {0: COPIED | DATA, 1: packed(PACKED, 2), 2: 1}
    contents = {
        TABLE: _numbers({0: BLOCK, **table}),
        BLOCK: _numbers({**dict.fromkeys(range(SIZE // CLUSTER), 1), **counts}, "H"),
        L1: _numbers({0: COPIED | L2, **l1}),
        L2: _numbers({**entries, **l2}),
        DATA: b"data" * (CLUSTER // 4),
        PACKED: zlib.compress(b"packed\n\n" * 8192, wbits=-12).ljust(CLUSTER, b"\0"),
        **more,
    }
    whole = bytearray(header(**{"virtual_size": 1 << 20, **places, **fields}))
    for offset, content in sorted(contents.items()):
        whole = whole.ljust(offset, b"\0")
        whole[offset : offset + len(content)] = content
    return bytes(whole[: len(whole) - cut])


def snapshots(*l1_tables: tuple[int, int], extra: Sequence[int] = (0, 1 << 20)) -> bytes:
    """A table of snapshots, whose L1 tables are at a place and have so many entries."""
    return b"".join(
        struct.pack(">QIHHIIQII", offset, entries, 1, 1, 5, 0, 0, 0, 8 * len(extra))
        + struct.pack(f">{len(extra)}Q", *extra)
        + b"1a".ljust(8, b"\0")
        for offset, entries in l1_tables
    )


def bitmap_extension(
    count: int = 1, length: int = 32, offset: int = FREE, zeros: int = 0
) -> tuple[int, bytes]:
    """The header's extension that says where the directory of bitmaps is."""
    return (0x23852875, struct.pack(">IIQQ", count, zeros, length, offset))


def bitmap(
    offset: int = FREE + CLUSTER,
    entries: int = 1,
    *,
    flags: int = 2,
    kind: int = 1,
    granularity: int = 16,
    name: bytes = b"bitmap",
    extra: int = 0,
) -> bytes:
    """An entry of the directory of bitmaps."""
    entry = struct.pack(">QIIBBHI", offset, entries, flags, kind, granularity, len(name), extra)
    return (entry + name).ljust(-(-(len(entry) + len(name)) // 8) * 8, b"\0")


# Fields of `image` that give it a snapshot, which has all its data in common with the disk.
SNAPSHOT: dict[str, Any] = {
    "snapshots": 1,
    "snapshots_offset": FREE,
    "more": {FREE: snapshots((FREE + CLUSTER, 1)), FREE + CLUSTER: L2.to_bytes(8)},
    "l1": {0: L2},
    "l2": {0: DATA},
    "counts": {4: 2, 5: 2, 6: 2, 7: 1, 8: 1},
}

# Those that give it a bitmap, with a cluster of its own.
BITMAP: dict[str, Any] = {
    "autoclear": 1,
    "extensions": [bitmap_extension()],
    "more": {
        FREE: bitmap(),
        FREE + CLUSTER: (FREE + 2 * CLUSTER).to_bytes(8),
        FREE + 2 * CLUSTER: bytes(8),
    },
    "counts": {7: 1, 8: 1, 9: 1},
}


def _numbers(words: Words, width: str = "Q") -> bytes:
    count = max(CLUSTER // struct.calcsize(width), *(number + 1 for number in words))
    return struct.pack(f">{count}{width}", *(words.get(number, 0) for number in range(count)))
