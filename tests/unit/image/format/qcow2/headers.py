"""qcow2 headers, byte by byte, sane unless told otherwise."""

import struct
from collections.abc import Iterable

CLUSTER_BITS = 16


def header(
    *,
    magic: bytes = b"QFI\xfb",
    version: int = 3,
    backing: bytes = b"",
    backing_offset: int | None = None,
    backing_size: int | None = None,
    cluster_bits: int = CLUSTER_BITS,
    virtual_size: int = 1 << 30,
    crypt_method: int = 0,
    l1_entries: int = 2,
    l1_offset: int = 3 << CLUSTER_BITS,
    refcount_table_offset: int = 1 << CLUSTER_BITS,
    refcount_table_clusters: int = 1,
    snapshots: int = 0,
    snapshots_offset: int = 0,
    incompatible: int = 0,
    compatible: int = 0,
    autoclear: int = 0,
    refcount_order: int = 4,
    header_length: int | None = None,
    compression_type: int = 0,
    extensions: Iterable[tuple[int, bytes]] = (),
    length: int = 1 << CLUSTER_BITS,
) -> bytes:
    """The first `length` bytes of an image of 1 GiB with clusters of 64 KiB."""
    added = b""
    start = 72
    if version >= 3:
        start = 112
        added = struct.pack(
            ">QQQIIB7x",
            incompatible,
            compatible,
            autoclear,
            refcount_order,
            start if header_length is None else header_length,
            compression_type,
        )
    for kind, content in extensions:
        added += struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)
    added += bytes(8)
    place = 72 + len(added) if backing_offset is None and backing else backing_offset or 0
    fixed = struct.pack(
        ">4sIQIIQIIQQIIQ",
        magic,
        version,
        place,
        len(backing) if backing_size is None else backing_size,
        cluster_bits,
        virtual_size,
        crypt_method,
        l1_entries,
        l1_offset,
        refcount_table_offset,
        refcount_table_clusters,
        snapshots,
        snapshots_offset,
    )
    return (fixed + added + backing).ljust(length, b"\0")[:length]
