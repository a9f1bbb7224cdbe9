"""The reference counts of a qcow2 file, held against the uses of its clusters.

Section "Host cluster management" of QEMU's specification. A count that is too high is a cluster
lost, and harms nobody. One that is too low lets QEMU hand out a cluster that is in use.
"""

from array import array
from collections.abc import Callable, Iterable
from operator import lt
from typing import BinaryIO

from launcher.host.errors import ImageRefused
from launcher.image.format.qcow2 import numbers
from launcher.image.format.qcow2.clusters import Clusters
from launcher.image.format.qcow2.header import Header
from launcher.image.format.refusal import damaged

RESERVED = 0x1FF

ONE = 1


def claim(file: BinaryIO, header: Header, clusters: Clusters) -> "array[int]":
    """Note the table of reference counts, and its blocks. Returns where these are, 0 for none.

    :raise ImageRefused: when they cannot be there.
    """
    length = header.refcount_table_clusters << header.cluster_bits
    clusters.claim("reference count table", header.refcount_table_offset, length)
    blocks = numbers.read(file, header.refcount_table_offset, length // 8)
    for offset in blocks:
        if offset & RESERVED:
            raise damaged(f"its reference count table has an entry that is none ({offset:#x})")
        if offset:
            clusters.claim("reference count block", offset, header.cluster_size)
    return blocks


def compare(
    file: BinaryIO,
    header: Header,
    blocks: "array[int]",
    clusters: Clusters,
    go_on: Callable[[], None],
) -> bytearray:
    """Hold the counts in `blocks` against the uses of all `clusters`. Returns 1 for each cluster
    whose count is 1, and 0 for the others.

    :param go_on: asked before each block.
    :raise ImageRefused: when a cluster is used more often than its count says.
    """
    width = 1 << header.refcount_order
    covered = header.cluster_size * 8 // width
    once = bytearray()
    for low in range(0, len(clusters.uses), covered):
        go_on()
        used = clusters.uses[low : low + covered]
        number = low // covered
        offset = blocks[number] if number < len(blocks) else 0
        counts = _counts(file, offset, len(used), width) if offset else bytes(len(used))
        if any(map(lt, counts, used)):
            raise _too_low(low << header.cluster_bits, header.cluster_size, counts, used)
        once += bytes(map(ONE.__eq__, counts))
    return once


def _too_low(
    offset: int, cluster_size: int, counts: Iterable[int], used: Iterable[int]
) -> ImageRefused:
    """The error for the first of `counts` that is too low, from that of the cluster at `offset`."""
    wrong = ((at, *pair) for at, pair in enumerate(zip(counts, used, strict=False)))
    at, count, uses = next(each for each in wrong if each[1] < each[2])
    place = offset + at * cluster_size
    if not count:
        return damaged(f"its reference counts call the cluster at {place} free; it is in use")
    return damaged(f"its reference counts give the cluster at {place} {count} uses; it has {uses}")


def _counts(file: BinaryIO, offset: int, count: int, width: int) -> "array[int]":
    """`count` numbers of `width` bits from `offset` on."""
    if width >= 8:
        return numbers.read(file, offset, count, width // 8)
    # In a byte, the lowest bits are the first number.
    packed = numbers.read(file, offset, -(-count * width // 8), 1)
    mask = (1 << width) - 1
    return array("B", (byte >> shift & mask for byte in packed for shift in range(0, 8, width)))
