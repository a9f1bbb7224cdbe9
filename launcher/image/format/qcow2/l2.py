"""The entries of L2 tables: where the clusters of the disk are in the file.

Section "Cluster mapping" of QEMU's specification, and "Extended L2 Entries".
"""

from array import array
from collections.abc import Iterable
from typing import NamedTuple, Self

from launcher.host.errors import ImageRefused
from launcher.image.format.qcow2.clusters import OFFSET, Clusters
from launcher.image.format.qcow2.header import Header
from launcher.image.format.refusal import SECTOR, damaged

COMPRESSED, ZEROS = 1 << 62, 1
RESERVED = 0x3F00_0000_0000_01FE

# Of an extended entry's second half: which subclusters are there. The others read as zeros where
# the bit 32 higher is set.
ALL_SUBCLUSTERS = 0xFFFF_FFFF


class Mapping(NamedTuple):
    """How to read L2 entries. `reserved`: bits that none has, unless it is compressed."""

    extended: bool
    reserved: int
    clusters: Clusters

    @classmethod
    def of(cls, header: Header, clusters: Clusters) -> Self:
        # Version 2 has no clusters of zeros, and subclusters have a bit of their own for that.
        no_zeros = header.version == 2 or header.extended_l2
        return cls(header.extended_l2, RESERVED | (ZEROS if no_zeros else 0), clusters)

    def use(self, table: "array[int]", times: int) -> None:
        """Count each cluster that `table` leads to as used so many `times` more.

        :raise ImageRefused: when it leads to what cannot be data.
        :raise OverflowError: when a cluster is used more often than can be counted.
        """
        if not any(table):
            return
        entries = table[0::2] if self.extended else table
        if self.extended:
            _judge_subclusters(entries, table[1::2])
        bits, size, uses, tables = self.clusters
        reserved, inside = self.reserved, (1 << bits) - 1
        for entry in entries:
            if entry & COMPRESSED:
                self._use_compressed(entry, times)
                continue
            offset = entry & OFFSET
            if entry & reserved or offset & inside:
                raise damaged(f"it has an L2 entry that makes no sense ({entry:#x})")
            if not offset:
                continue
            # The last cluster of a file may be there in part, as QEMU leaves it.
            if offset >= size:
                raise _outside(offset, size)
            cluster = offset >> bits
            if tables[cluster]:
                raise _in_tables(offset)
            uses[cluster] += times

    def _use_compressed(self, entry: int, times: int) -> None:
        bits, size, uses, tables = self.clusters
        shift = 62 - (bits - 8)
        offset = entry & ((1 << shift) - 1)
        sectors = (entry & (COMPRESSED - 1)) >> shift
        last = offset // SECTOR + sectors
        # Each of these sectors has a byte of its data, so none lies behind the file's last one.
        if offset >= size or last > (size - 1) // SECTOR:
            raise _outside(last * SECTOR, size)
        first, end = offset >> bits, (last * SECTOR >> bits) + 1
        if any(tables[first:end]):
            raise _in_tables(offset)
        for cluster in range(first, end):
            uses[cluster] += times


def _judge_subclusters(entries: Iterable[int], bitmaps: Iterable[int]) -> None:
    for entry, bitmap in zip(entries, bitmaps, strict=True):
        there, zeros = bitmap & ALL_SUBCLUSTERS, bitmap >> 32
        if there & zeros:
            raise damaged("it has subclusters that are there and are zeros as well")
        if bitmap and entry & COMPRESSED:
            raise damaged("it has subclusters in a compressed cluster")
        if there and not entry & OFFSET:
            raise damaged("it has subclusters in a cluster that is nowhere")


def _outside(offset: int, size: int) -> ImageRefused:
    return damaged(f"its data at {offset} lies beyond its end at {size}: the file is cut short")


def _in_tables(offset: int) -> ImageRefused:
    return damaged(f"its data at {offset} lies in one of its tables")
