"""The flag by which QEMU tells that it may write to a cluster in place: it is used once.

QCOW_OFLAG_COPIED, bit 63 of L1 and L2 entries in QEMU's specification. One that says so of a
cluster in common with a snapshot has a write to the disk change the snapshot as well.
"""

from array import array
from collections.abc import Callable
from typing import BinaryIO

from launcher.image.format.qcow2 import numbers
from launcher.image.format.qcow2.clusters import OFFSET
from launcher.image.format.qcow2.header import Header
from launcher.image.format.qcow2.l2 import COMPRESSED
from launcher.image.format.refusal import damaged

COPIED = 1 << 63


def judge(file: BinaryIO, header: Header, used_once: bytearray, go_on: Callable[[], None]) -> None:
    """Refuse entries of the disk's tables that contradict the reference counts.

    :param used_once: 1 for each cluster of the file of which the counts say so, else 0.
    :param go_on: asked before each table.
    :raise ImageRefused:
    """
    l1 = numbers.read(file, header.l1_offset, header.l1_entries)
    _judge("L1", l1, header.cluster_bits, used_once)
    for entry in l1:
        if offset := entry & OFFSET:
            go_on()
            table = numbers.read(file, offset, header.cluster_size // 8)
            entries = table[0::2] if header.extended_l2 else table
            _judge("L2", entries, header.cluster_bits, used_once)


def _judge(name: str, entries: "array[int]", bits: int, used_once: bytearray) -> None:
    for entry in entries:
        if entry & COMPRESSED:
            if entry & COPIED:
                raise damaged(f"its {name} entry {entry:#x} would have QEMU write to packed data")
            continue
        offset = entry & OFFSET
        if offset and entry >> 63 != used_once[offset >> bits]:
            raise damaged(
                f"its {name} entry {entry:#x} and its reference counts disagree on whether the "
                f"cluster at {offset} is used once"
            )
