"""The table of internal snapshots in a qcow2 file, bytes to values.

Layout and names: QEMU's "Qcow2 Image File Format" (docs/interop/qcow2), section "Snapshots".
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from launcher.image.format.qcow2 import header
from launcher.image.format.qcow2.header import NotQcow2
from launcher.image.format.qcow2.policy import MOST_SNAPSHOTS

# Where its L1 table is, the lengths of ID and name, seconds and nanoseconds of its making, the
# guest's clock, the size of the machine's state, the length of the extra data.
_ENTRY = struct.Struct(">QIHHIIQII")
# Of the extra data: the size of the machine's state, and that of the disk.
_EXTRA = struct.Struct(">QQ")
MOST_EXTRA = 1024
# QEMU reads no more of a table.
MOST_BYTES = 64 << 20
# No file has more bytes.
MOST_OFFSET = (1 << 63) - MOST_BYTES


class Snapshot(NamedTuple):
    """`taken`: nanoseconds since the epoch. `disk_size`: bytes of the disk then as the guest saw
    it, None in files of version 2, which do not say."""

    name: str
    taken: int
    disk_size: int | None


class Entry(NamedTuple):
    """`l1_entries` of 8 bytes each at `l1_offset`; `end`: of this entry, an offset as well."""

    snapshot: Snapshot
    l1_offset: int
    l1_entries: int
    end: int


def read(path: Path) -> tuple[Snapshot, ...]:
    """The snapshots in the file at `path`, in the order they were taken.

    QEMU may have it open: a new table goes where nothing was, and the header is changed last.

    :raise NotQcow2: when it is no qcow2 file, or its table makes no sense.
    :raise OSError: when it cannot be read.
    """
    while True:
        before = header.read(path)
        try:
            with path.open("rb") as file:
                table = entries(file, before.snapshots, before.snapshots_offset)
                found = tuple(each.snapshot for each in table)
        except NotQcow2:
            found = None
        # What the old header pointed at may have become something else meanwhile.
        again = header.read(path)
        if (again.snapshots, again.snapshots_offset) == (before.snapshots, before.snapshots_offset):
            break
    if found is None:
        raise NotQcow2("its table of snapshots makes no sense")
    return found


def entries(file: BinaryIO, count: int, offset: int) -> Iterator[Entry]:
    """The `count` entries of the table at `offset`.

    :raise NotQcow2: when it makes no sense.
    """
    if count > MOST_SNAPSHOTS:
        raise NotQcow2(f"it claims {count} snapshots")
    if count and offset > MOST_OFFSET:
        raise NotQcow2(f"its table of snapshots is said to be at {offset}")
    start = offset
    for _ in range(count):
        file.seek(offset)
        (
            l1_offset,
            l1_entries,
            id_length,
            name_length,
            seconds,
            nanoseconds,
            _,
            _,
            extra_length,
        ) = _ENTRY.unpack(_exactly(file, _ENTRY.size))
        if extra_length > MOST_EXTRA:
            raise NotQcow2(f"a snapshot claims {extra_length} bytes of extra data")
        extra = _exactly(file, extra_length)
        words = _exactly(file, id_length + name_length)
        size = _EXTRA.unpack_from(extra)[1] if extra_length >= _EXTRA.size else None
        taken = seconds * 1_000_000_000 + nanoseconds
        end = offset + _ENTRY.size + extra_length + len(words)
        if end - start > MOST_BYTES:
            raise NotQcow2("its table of snapshots takes more than 64 MiB")
        snapshot = Snapshot(os.fsdecode(words[id_length:]), taken, size)
        yield Entry(snapshot, l1_offset, l1_entries, end)
        # Each begins at a multiple of 8, and the last one may end before.
        offset = -(-end // 8) * 8


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise NotQcow2("its table of snapshots is cut short")
    return data
