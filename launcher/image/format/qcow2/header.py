"""The header of a qcow2 file, bytes to values. It judges nothing: `policy` does.

Layout and names: QEMU's "Qcow2 Image File Format" (docs/interop/qcow2). All numbers in the file
are big-endian.
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import ImageRefused

MAGIC = b"QFI\xfb"

# Fields of version 2 (72 bytes), then those that version 3 added (32 bytes).
_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")

# QEMU opens no others. The spec has no upper bound; a cluster is read whole in many places.
LEAST_CLUSTER_BITS, MOST_CLUSTER_BITS = 9, 21

# Incompatible features, by bit.
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))

# An autoclear feature: whoever wrote to the image last knew of its bitmaps.
BITMAPS_BIT = 1

# Header extensions, by type.
END = 0
BACKING_FORMAT = 0xE2792ACA
FULL_DISK_ENCRYPTION = 0x0537BE77
DATA_FILE_NAME = 0x44415441
BITMAPS = 0x23852875


class NotQcow2(ValueError):
    """The bytes are no qcow2 header that can be read; the text says why."""


class Header(NamedTuple):
    """One qcow2 header. Offsets and sizes are in bytes, `l1_entries` in entries of 8 bytes.

    `backing_file` and `data_file` are as written in the file, None where there is none.
    `extensions` are pairs of type and content, in the order of the file.
    """

    version: int
    virtual_size: int
    cluster_bits: int
    backing_file: str | None
    backing_format: str | None
    crypt_method: int
    l1_entries: int
    l1_offset: int
    refcount_table_offset: int
    refcount_table_clusters: int
    snapshots: int
    snapshots_offset: int
    incompatible: int
    compatible: int
    autoclear: int
    refcount_order: int
    header_length: int
    compression_type: int
    extensions: tuple[tuple[int, bytes], ...]

    @property
    def cluster_size(self) -> int:
        return 1 << self.cluster_bits

    @property
    def extended_l2(self) -> bool:
        return bool(self.incompatible & EXTENDED_L2)

    @property
    def has_data_file(self) -> bool:
        return bool(self.incompatible & DATA_FILE) or self.data_file is not None

    @property
    def data_file(self) -> str | None:
        content = self.extension(DATA_FILE_NAME)
        return None if content is None else os.fsdecode(content)

    @property
    def l1_entries_needed(self) -> int:
        """How many L1 entries a disk of `virtual_size` takes."""
        entry_bits = 4 if self.extended_l2 else 3
        covered_bits = self.cluster_bits + self.cluster_bits - entry_bits
        return -(-self.virtual_size >> covered_bits)

    def extension(self, kind: int) -> bytes | None:
        return next((content for each, content in self.extensions if each == kind), None)


def read(path: Path) -> Header:
    """Read the header of the file at `path`.

    :raise NotQcow2: when it has none.
    :raise OSError: when it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        # The header, its extensions and the backing file's name all lie in the first cluster.
        data = file.read(4096)
        bits = int.from_bytes(data[20:24])
        if LEAST_CLUSTER_BITS <= bits <= MOST_CLUSTER_BITS and (1 << bits) > len(data):
            data += file.read((1 << bits) - len(data))
    return parse(data)


def parse(data: bytes) -> Header:
    """Read a header from the first bytes of a file: its first cluster, or all there is.

    :raise NotQcow2: when they are not a qcow2 header of version 2 or 3, or one that points
        outside of itself.
    """
    if data[:4] != MAGIC:
        raise NotQcow2("it does not start as a qcow2 image does")
    version = int.from_bytes(data[4:8])
    if version not in (2, 3):
        raise NotQcow2(f"it is of version {version}; 2 and 3 are known")
    if len(data) < _V2.size + (_V3.size if version == 3 else 0):
        raise NotQcow2("it ends inside its header")
    (
        _,
        _,
        backing_offset,
        backing_size,
        cluster_bits,
        virtual_size,
        crypt_method,
        l1_entries,
        l1_offset,
        refcount_table_offset,
        refcount_table_clusters,
        snapshots,
        snapshots_offset,
    ) = _V2.unpack_from(data)
    if not LEAST_CLUSTER_BITS <= cluster_bits <= MOST_CLUSTER_BITS:
        raise NotQcow2(
            f"its clusters have {cluster_bits} bits; from {LEAST_CLUSTER_BITS} to "
            f"{MOST_CLUSTER_BITS} are known"
        )
    incompatible = compatible = autoclear = 0
    refcount_order, header_length = 4, _V2.size
    if version == 3:
        incompatible, compatible, autoclear, refcount_order, header_length = _V3.unpack_from(
            data, _V2.size
        )
    first_cluster = data[: 1 << cluster_bits]
    if header_length < _V2.size + (_V3.size if version == 3 else 0) or header_length % 8:
        raise NotQcow2(f"its header claims an impossible length of {header_length} bytes")
    if header_length > len(first_cluster):
        raise NotQcow2(f"its header claims {header_length} bytes, more than there are")
    # Extensions end where the backing file's name begins, if not before.
    extensions = _extensions(first_cluster[: backing_offset or None], header_length)
    return Header(
        version=version,
        virtual_size=virtual_size,
        cluster_bits=cluster_bits,
        backing_file=_backing_file(first_cluster, backing_offset, backing_size),
        backing_format=next(
            (os.fsdecode(content) for kind, content in extensions if kind == BACKING_FORMAT), None
        ),
        crypt_method=crypt_method,
        l1_entries=l1_entries,
        l1_offset=l1_offset,
        refcount_table_offset=refcount_table_offset,
        refcount_table_clusters=refcount_table_clusters,
        snapshots=snapshots,
        snapshots_offset=snapshots_offset,
        incompatible=incompatible,
        compatible=compatible,
        autoclear=autoclear,
        refcount_order=refcount_order,
        header_length=header_length,
        compression_type=first_cluster[104] if header_length > 104 else 0,
        extensions=extensions,
    )


def readable(data: bytes, source: str) -> Header:
    """The header in the first bytes of what came from `source`, as `parse` reads it.

    :raise ImageRefused: when there is none.
    """
    try:
        return parse(data)
    except NotQcow2 as err:
        raise ImageRefused(f"{source} is no qcow2 image that can be used: {err}") from err


def _backing_file(data: bytes, offset: int, size: int) -> str | None:
    if not offset:
        return None
    if size > 1023 or offset + size > len(data):
        raise NotQcow2("the name of its backing file lies outside of its header")
    return os.fsdecode(data[offset : offset + size])


def _extensions(data: bytes, start: int) -> tuple[tuple[int, bytes], ...]:
    """Header extensions in `data`, from `start` to the end mark or to the end of the area."""
    found = []
    while start + 8 <= len(data):
        kind, length = struct.unpack_from(">II", data, start)
        if kind == END:
            break
        start += 8
        if length > len(data) - start:
            raise NotQcow2(f"its header extension {kind:#x} claims {length} bytes, too many")
        found.append((kind, data[start : start + length]))
        start += -(-length // 8) * 8
    return tuple(found)
