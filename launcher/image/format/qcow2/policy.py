"""Which qcow2 images may become a base: those that stand alone and make sense.

A fetched image is hostile input. A backing file or an external data file would make QEMU read
files of the container, or open connections, on the image's behalf; nova, glance and cinder were
all bitten (CVE-2024-32498 and its successors). Bounds on tables are those of QEMU's qcow2 driver.
"""

from launcher.image.format.qcow2.header import (
    COMPRESSION,
    CORRUPT,
    DIRTY,
    EXTENDED_L2,
    FULL_DISK_ENCRYPTION,
    Header,
)
from launcher.image.format.refusal import SECTOR, damaged, odd_size, refused

MOST_L1_BYTES = 32 << 20
MOST_REFCOUNT_TABLE_BYTES = 8 << 20
MOST_SNAPSHOTS = 65536


def judge(header: Header, most: int, size: int | None = None) -> None:
    """Refuse what may not become a base, with all reasons in one error.

    :param most: bytes of the largest disk that is accepted.
    :param size: bytes of the whole file, where they are known already.
    :raise ImageRefused:
    """
    # Where a table of a size that makes no sense would lie is not worth a sentence of its own.
    if reasons := dependences(header) + features(header) + nonsense(header, most):
        raise refused(*reasons)
    if reasons := bounds(header, size):
        raise damaged(*reasons)


def dependences(header: Header) -> list[str]:
    """Other files that it would make QEMU open, and keys it would need."""
    found = []
    if header.backing_file is not None:
        found.append(f"it has a backing file, {header.backing_file!r}")
    if header.has_data_file:
        name = "" if header.data_file is None else f", {header.data_file!r}"
        found.append(f"it keeps its data in another file{name}")
    if header.crypt_method or header.extension(FULL_DISK_ENCRYPTION) is not None:
        found.append("it is encrypted, and Berth has no key for it")
    return found


def features(header: Header) -> list[str]:
    found = []
    if header.incompatible & DIRTY:
        found.append("it was not closed cleanly: whoever made it copied it while it was in use")
    if header.incompatible & CORRUPT:
        found.append("it is marked as corrupt")
    unknown = header.incompatible >> 5
    if unknown:
        bits = [str(5 + bit) for bit in range(unknown.bit_length()) if unknown >> bit & 1]
        found.append(f"it needs features that are not known here (bit {', '.join(bits)})")
    if header.compression_type > 1:
        found.append(f"its clusters are packed in a way not known here ({header.compression_type})")
    if bool(header.compression_type) != bool(header.incompatible & COMPRESSION):
        found.append("its compression type and its feature bits contradict each other")
    if header.incompatible & EXTENDED_L2 and header.cluster_bits < 14:
        found.append("it has subclusters in clusters of less than 16 KiB")
    kinds = [kind for kind, _ in header.extensions]
    for kind in sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        # QEMU heeds the last one of some, and we would have looked at the first.
        found.append(f"it has more than one header extension of the kind {kind:#x}")
    if header.refcount_order > 6:
        found.append(f"its reference counts have 2^{header.refcount_order} bits")
    return found


def nonsense(header: Header, most: int) -> list[str]:
    """Sizes that no disk has."""
    found = []
    if odd := odd_size(header.virtual_size, most):
        found.append(odd)
    elif header.virtual_size % SECTOR:
        found.append(f"its disk of {header.virtual_size} bytes is not a whole number of sectors")
    elif header.l1_entries * 8 > MOST_L1_BYTES:
        found.append(f"its L1 table claims {header.l1_entries} entries, more than QEMU reads")
    elif header.l1_entries < header.l1_entries_needed:
        found.append(
            f"its L1 table has {header.l1_entries} entries, too few for a disk of "
            f"{header.virtual_size} bytes"
        )
    table = header.refcount_table_clusters << header.cluster_bits
    if not 0 < table <= MOST_REFCOUNT_TABLE_BYTES:
        found.append(f"its reference count table claims {table} bytes; QEMU reads up to 8 MiB")
    if header.snapshots > MOST_SNAPSHOTS:
        found.append(f"it claims {header.snapshots} snapshots")
    return found


def bounds(header: Header, size: int | None) -> list[str]:
    """Tables that start askew or lie beyond the end of the file."""
    tables = {
        "L1 table": (header.l1_offset, header.l1_entries * 8),
        "reference count table": (
            header.refcount_table_offset,
            header.refcount_table_clusters << header.cluster_bits,
        ),
    }
    if header.snapshots or header.snapshots_offset:
        # The least that one entry takes. QEMU minds where the table is although nothing is in it.
        tables["table of snapshots"] = (header.snapshots_offset, header.snapshots * 40)
    found = []
    for name, (offset, length) in tables.items():
        if offset % header.cluster_size or not offset:
            found.append(f"its {name} does not start at a cluster (offset {offset})")
        elif size is not None and length and offset + length > size:
            found.append(f"its {name} lies beyond its end: the file is cut short")
    return found
