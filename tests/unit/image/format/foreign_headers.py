"""VMDK, VHDX and VDI images of an empty disk of 1 MiB, byte by byte, sane unless told otherwise."""

import struct
from collections.abc import Iterable

from launcher.image.format import vhdx as spec

MIB = 1 << 20
DISK = MIB
SECTORS = DISK // 512

EXTENT = 'RW 2048 SPARSE "disk.vmdk"'


def descriptor(
    *,
    type_: str = "monolithicSparse",
    parent: str = "ffffffff",
    extents: Iterable[str] = (EXTENT,),
    more: Iterable[str] = (),
) -> bytes:
    lines = (
        "# Disk DescriptorFile",
        "version=1",
        "CID=12345678",
        f"parentCID={parent}",
        f'createType="{type_}"',
        "",
        "# Extent description",
        *extents,
        *more,
        "# The Disk Data Base",
        'ddb.adapterType = "ide"',
    )
    return "".join(f"{line}\n" for line in lines).encode()


def vmdk(
    text: bytes | None = None,
    *,
    magic: bytes = b"KDMV",
    version: int = 1,
    flags: int = 3,
    capacity: int = SECTORS,
    grain: int = 128,
    descriptor_at: int = 1,
    descriptor_sectors: int = 20,
    entries: int = 512,
    second_directory: int = 21,
    directory: int = 26,
    overhead: int = 128,
    line_ends: bytes = b"\n \r\n",
    compression: int = 0,
    length: int = 128 * 512,
    footer: bytes = b"",
) -> bytes:
    """One grain directory at sector 21, its copy at 26, each with an empty table after it.

    `footer`: what a stream ends with, a header like this one between its two markers.
    """
    head = struct.pack(
        "<4sIIQQQQIQQQx4sH",
        magic,
        version,
        flags,
        capacity,
        grain,
        descriptor_at,
        descriptor_sectors,
        entries,
        second_directory,
        directory,
        overhead,
        line_ends,
        compression,
    )
    body = bytearray(length)
    body[: len(head)] = head
    text = descriptor() if text is None else text
    body[512 : 512 + len(text)] = text
    for place in (21, 26):
        body[place * 512 : place * 512 + 4] = (place + 1).to_bytes(4, "little")
    if not footer:
        return bytes(body[:length])
    marker = struct.pack("<QII496x", 1, 0, 3)
    return bytes(body) + marker + footer[:512] + bytes(512)


def vdi(
    *,
    version: int = 1 << 16 | 1,
    type_: int = 1,
    map_at: int = 512,
    data_at: int = 1024,
    sector: int = 512,
    disk: int = DISK,
    block: int = MIB,
    blocks: int = 1,
    link: bytes = bytes(16),
    parent: bytes = bytes(16),
    entries: Iterable[int] = (0xFFFFFFFF,),
    length: int = 1024,
) -> bytes:
    """The map of blocks at byte 512, data at 1024."""
    head = struct.pack(
        "<64s4sIIII256xII12xI4xQIIII32x16s16s56x",
        b"<<< Oracle VM VirtualBox Disk Image >>>\n",
        b"\x7f\x10\xda\xbe",
        version,
        400,
        type_,
        0,
        map_at,
        data_at,
        sector,
        disk,
        block,
        0,
        blocks,
        0,
        link,
        parent,
    )
    table = b"".join(each.to_bytes(4, "little") for each in entries)
    return (head + table).ljust(length, b"\0")[:length]


def vhdx(
    *,
    signature: bytes = b"vhdxfile",
    version: int = 1,
    logs: tuple[bytes, bytes] = (bytes(16), bytes(16)),
    sequences: tuple[int, int] = (1, 2),
    regions: Iterable[tuple[bytes, int, int, int]] | None = None,
    block: int = MIB,
    flags: int = 0,
    disk: int = DISK,
    sector: int = 512,
    items: Iterable[tuple[bytes, bytes]] = (),
    length: int = 4 * MIB,
) -> bytes:
    """Log at 1 MiB, metadata at 2 MiB, table of blocks at 3 MiB, each of 1 MiB.

    `regions` are name, place, length and whether it is required.
    """
    body = bytearray(length)
    body[:8] = signature
    for place, log, sequence in zip(spec.HEADERS, logs, sequences, strict=True):
        head = struct.pack(
            "<4sIQ16s16s16sHHIQ",
            *(b"head", 0, sequence, b"f" * 16, b"d" * 16, log, 0, version, MIB, MIB),
        )
        _put(body, place, head, spec.HEADER_SIZE)
    if regions is None:
        regions = [(spec.METADATA, 2 * MIB, MIB, 1), (spec.BLOCKS, 3 * MIB, MIB, 1)]
    rows = [struct.pack("<16sQII", *each) for each in regions]
    _put(body, spec.REGIONS, struct.pack("<4sIII", b"regi", 0, len(rows), 0) + b"".join(rows))
    _put(body, 2 * MIB, _metadata(block, flags, disk, sector, items), 0)
    return bytes(body[:length])


# MS-VHDX, 2.6.2.3 and 2.6.2.5: "page 83" data, and the size of a physical sector.
PAGE_83 = bytes.fromhex("ab12cabee6b2234593efc309e000c746")
PHYSICAL_SECTOR = bytes.fromhex("c748a3cd5d4471449cc9e9885251c556")


def _metadata(
    block: int, flags: int, disk: int, sector: int, more: Iterable[tuple[bytes, bytes]]
) -> bytes:
    items = [
        (spec.FILE_PARAMETERS, struct.pack("<II", block, flags)),
        (spec.DISK_SIZE, disk.to_bytes(8, "little")),
        (PAGE_83, bytes(16)),
        (spec.SECTOR_SIZE, sector.to_bytes(4, "little")),
        (PHYSICAL_SECTOR, (4096).to_bytes(4, "little")),
        *more,
    ]
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    values = b""
    for name, value in items:
        # Flags: required, and of the disk rather than of its user.
        table += struct.pack("<16sIII4x", name, (64 << 10) + len(values), len(value), 6)
        values += value
    return table.ljust(64 << 10, b"\0") + values


def _put(body: bytearray, place: int, data: bytes, size: int = 64 << 10) -> None:
    """Put `data` there, with the checksum of the `size` bytes that it is the beginning of."""
    if size:
        data = data.ljust(size, b"\0")
        data = data[:4] + spec.crc32c(data).to_bytes(4, "little") + data[8:]
    body[place : place + len(data)] = data
