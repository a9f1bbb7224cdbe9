"""Packings that are bombs, or hide what is in them."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable

from tests.unit.image.format.foreign_headers import MIB
from tests.unit.image.format.hostile.trap import Trap
from tests.unit.image.format.qcow2.images import image


def packings() -> Iterable[Trap]:
    disk = image()
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "xz": lzma.compress,
        "bzip2": bz2.compress,
    }
    for name, pack in packers.items():
        yield Trap(f"{name} twice", pack(gzip.compress(disk)), "packed once more, with gzip")
        yield Trap(f"{name} cut", pack(disk)[:-9], f"its {name} packing ends too soon")
    # RFC 8878, 3.1.1.1.2: a window of 2 GiB, then an empty last block.
    window = b"\x28\xb5\x2f\xfd" + b"\0" + bytes([21 << 3]) + b"\x01\0\0"
    yield Trap("zstd window of 2 GiB", window, "zstd packing is damaged: .*memory")
    # The size of the dictionary is put into the block's header afterwards: 2^(36/2 + 11) bytes.
    packed = bytearray(lzma.compress(b"data", preset=0))
    packed[16], packed[20:24] = 0x24, b"\0" * 4
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    yield Trap("xz dictionary of 1 GiB", bytes(packed), "xz packing is damaged: Memory")
    yield Trap(
        "gzip of nothing, often",
        gzip.compress(b"") * 100_000,
        "10001 parts and more, which hold 0 bytes",
    )
    yield Trap("zip", b"PK\x03\x04" + bytes(600), "a zip archive.*unpack it first")
    fixed = bytearray(2 * MIB)
    fixed[510:512], fixed[-512:-504] = b"\x55\xaa", b"conectix"  # codespell:ignore
    yield Trap("VHD", bytes(fixed), "a VHD image.*-f vpc")
