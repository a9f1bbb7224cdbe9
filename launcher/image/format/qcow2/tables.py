"""Where the tables of a qcow2 image lead, read before QEMU follows them.

A fetched image is hostile input, and one that was cut behind its tables looks whole to whoever
reads its header alone. What this takes is bounded by the size of the file, by `clusters.MOST` and
by `SECONDS`. Rules: QEMU's specification (docs/interop/qcow2) and what its own check refuses
(block/qcow2-refcount.c).
"""

import time
from array import array
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from launcher.image.format.qcow2 import bitmaps, copied, numbers, refcounts, snapshots
from launcher.image.format.qcow2.clusters import L2_TABLE, LARGER_HINT, OFFSET, Clusters
from launcher.image.format.qcow2.header import Header, NotQcow2
from launcher.image.format.qcow2.l2 import Mapping
from launcher.image.format.qcow2.policy import MOST_L1_BYTES
from launcher.image.format.refusal import damaged, refused

# Of CPU. The tables of 1 TiB in clusters of 64 KiB take about seven.
SECONDS = 60.0

L1_RESERVED = 0x7F00_0000_0000_01FF


class _L1(NamedTuple):
    """An L1 table, that of the disk or of a snapshot."""

    name: str
    offset: int
    entries: int


def judge(
    file: BinaryIO, header: Header, size: int, clock: Callable[[], float] = time.thread_time
) -> None:
    """Refuse an image whose tables lead astray.

    :param header: that of `file`, which `policy` found nothing wrong with.
    :param size: bytes of the whole file.
    :param clock: seconds that were spent on it.
    :raise ImageRefused: with the first thing that is wrong.
    """
    until = clock() + SECONDS

    def go_on() -> None:
        if clock() > until:
            raise refused(
                f"looking through its tables took more than {SECONDS:.0f} s of CPU",
                hint=LARGER_HINT,
            )

    try:
        _judge(file, header, Clusters.of(header.cluster_bits, size), go_on)
    except OverflowError:
        raise damaged("it uses one of its clusters more than 65535 times") from None


def _judge(file: BinaryIO, header: Header, clusters: Clusters, go_on: Callable[[], None]) -> None:
    # All tables first, so that it is known of any data whether it lies in one of them.
    clusters.claim("header", 0, header.cluster_size)
    blocks = refcounts.claim(file, header, clusters)
    of_bitmaps = bitmaps.claim(file, header, clusters)
    for number, l1 in enumerate(_l1_tables(file, header, clusters), 1):
        go_on()
        clusters.claim(l1.name, l1.offset, l1.entries * 8)
        _claim_l2(numbers.read(file, l1.offset, l1.entries), number, clusters)
    bitmaps.use(file, of_bitmaps, clusters, go_on)
    mapping = Mapping.of(header, clusters)
    at = clusters.tables.find(L2_TABLE)
    while at >= 0:
        go_on()
        table = numbers.read(file, at << header.cluster_bits, header.cluster_size // 8)
        # What a table shared with a snapshot leads to is used by each.
        mapping.use(table, clusters.uses[at])
        at = clusters.tables.find(L2_TABLE, at + 1)
    used_once = refcounts.compare(file, header, blocks, clusters, go_on)
    copied.judge(file, header, used_once, go_on)


def _l1_tables(file: BinaryIO, header: Header, clusters: Clusters) -> Iterator[_L1]:
    yield _L1("L1 table", header.l1_offset, header.l1_entries)
    if not header.snapshots:
        return
    start, end = header.snapshots_offset, 0
    try:
        for entry in snapshots.entries(file, header.snapshots, start):
            end = entry.end
        clusters.claim("table of snapshots", start, end - start)
        # Once more, for they may hold 64 MiB of names.
        for entry in snapshots.entries(file, header.snapshots, start):
            if header.version > 2 and entry.snapshot.disk_size is None:
                raise damaged("a snapshot does not say how large its disk is")
            if entry.l1_entries * 8 > MOST_L1_BYTES:
                raise damaged(f"a snapshot's L1 table claims {entry.l1_entries} entries")
            yield _L1("snapshot's L1 table", entry.l1_offset, entry.l1_entries)
    except NotQcow2 as err:
        raise damaged(str(err)) from err


def _claim_l2(l1: "array[int]", number: int, clusters: Clusters) -> None:
    """Note the L2 tables that the L1 table `l1` leads to, the `number`th that is read."""
    for entry in l1:
        if not entry:
            continue
        offset = entry & OFFSET
        if entry & L1_RESERVED or not offset:
            raise damaged(f"it has an L1 entry that makes no sense ({entry:#x})")
        cluster, inside = divmod(offset, clusters.cluster_size)
        if inside or cluster >= len(clusters.tables) or clusters.tables[cluster] != L2_TABLE:
            clusters.claim("L2 table", offset, clusters.cluster_size, L2_TABLE)
            continue
        clusters.uses[cluster] += 1
        # A small file of one table for millions of entries would keep qemu-img's check busy.
        if clusters.uses[cluster] > number:
            raise damaged(f"its L1 entries lead to the L2 table at {offset} more than once")
