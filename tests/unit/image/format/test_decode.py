"""Unpacking: all of it, in blocks of a bounded size, and no damage passes for an end."""

import bz2
import gzip
import lzma
import random
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import pytest
import zstandard

from launcher.host.errors import ImageRefused
from launcher.image.format import decode
from launcher.image.format.content import PACKINGS, Kind

PACK: dict[Kind, Callable[[bytes], bytes]] = {
    Kind.GZIP: gzip.compress,
    Kind.XZ: lzma.compress,
    Kind.ZSTD: zstandard.ZstdCompressor(write_checksum=True).compress,
    Kind.BZIP2: bz2.compress,
}

# Half of it does not pack, half of it packs very well.
DATA = random.Random(1).randbytes(1_500_000) + bytes(1_500_000)


@cache
def packed_data(kind: Kind) -> bytes:
    return PACK[kind](DATA)


each_packing = pytest.mark.parametrize("kind", PACKINGS)


def in_chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def unpack(kind: Kind, data: bytes, size: int = 1 << 20) -> bytes:
    return b"".join(decode.unpack(kind, in_chunks(data, size), "IMG_SOURCE=/x"))


@each_packing
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_what_was_packed_comes_out(kind: Kind, size: int) -> None:
    assert unpack(kind, packed_data(kind), size) == DATA


@each_packing
def test_bytes_that_drip(kind: Kind) -> None:
    data = DATA[1_499_000:1_501_000]
    assert unpack(kind, PACK[kind](data), 1) == data


@each_packing
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_several_members_in_a_row(kind: Kind, size: int) -> None:
    packed = b"".join(PACK[kind](each) for each in (b"one", b"", b"two" * 1000))
    assert unpack(kind, packed, size) == b"one" + b"two" * 1000


@each_packing
def test_members_that_hold_nothing_are_not_gone_through_for_ever(kind: Kind) -> None:
    """Nor does what little they hold make them worth it; parallel packers' members are larger."""
    for data in (b"", b"x"):
        with pytest.raises(ImageRefused, match="has 10001 parts and more"):
            unpack(kind, PACK[kind](data) * 10_100)
    member = random.Random(2).randbytes(1025)
    assert unpack(kind, PACK[kind](member) * 10_100) == member * 10_100


@each_packing
def test_members_that_hold_nothing_yield_nothing(kind: Kind) -> None:
    packed = PACK[kind](b"") * 5000 + PACK[kind](b"data")
    assert list(decode.unpack(kind, iter([packed]), "x")) == [b"data"]


def test_skippable_frames_are_skipped() -> None:
    """Parallel packers of zstd write them."""
    skip = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert unpack(Kind.ZSTD, skip + PACK[Kind.ZSTD](b"data") + skip, 5) == b"data"


@each_packing
def test_zeros_behind_it_are_padding(kind: Kind) -> None:
    assert unpack(kind, PACK[kind](b"data") + bytes(1000), 100) == b"data"


@each_packing
def test_nothing_is_an_end_too_soon(kind: Kind) -> None:
    with pytest.raises(ImageRefused, match="ends too soon"):
        unpack(kind, b"")


@each_packing
@pytest.mark.parametrize("missing", [1, 4, 9, 200_000])
def test_a_cut_is_noticed(kind: Kind, missing: int) -> None:
    with pytest.raises(ImageRefused, match="ends too soon"):
        unpack(kind, packed_data(kind)[:-missing])


@each_packing
def test_a_cut_after_the_first_member_is_noticed(kind: Kind) -> None:
    # Whatever is too short to be told from padding or trailing bytes may be the next one's start.
    for kept in range(1, 12):
        with pytest.raises(ImageRefused, match="ends too soon"):
            unpack(kind, PACK[kind](b"one") + PACK[kind](b"two")[:kept])


@each_packing
def test_a_flipped_bit_is_noticed(kind: Kind) -> None:
    packed = bytearray(packed_data(kind))
    packed[len(packed) // 2] ^= 1
    with pytest.raises(ImageRefused, match=f"its {kind} packing is damaged"):
        unpack(kind, bytes(packed))


@pytest.mark.parametrize("kind", [Kind.GZIP, Kind.BZIP2])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_what_follows_is_ignored_where_the_tool_ignores_it(
    kind: Kind, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert unpack(kind, PACK[kind](b"data") + b"signature of the image", size) == b"data"
    assert "is ignored" in caplog.text


@pytest.mark.parametrize("kind", [Kind.XZ, Kind.ZSTD])
def test_what_follows_is_refused_elsewhere(kind: Kind) -> None:
    with pytest.raises(ImageRefused, match="follows its"):
        unpack(kind, PACK[kind](b"data") + b"signature of the image")


@pytest.mark.parametrize(
    ("kind", "behind"),
    [*((kind, bytes(4000)) for kind in PACKINGS), (Kind.GZIP, b"x" * 4000)],
)
def test_all_that_arrives_is_taken(kind: Kind, behind: bytes) -> None:
    """The checksum is of all bytes, those that are ignored included."""
    packed = PACK[kind](b"data") + behind
    taken = []

    def arriving() -> Iterator[bytes]:
        for chunk in in_chunks(packed, 500):
            taken.append(chunk)
            yield chunk

    assert b"".join(decode.unpack(kind, arriving(), "x")) == b"data"
    assert b"".join(taken) == packed


@pytest.mark.parametrize(
    ("kind", "size", "largest"),
    [
        (Kind.GZIP, 32 << 20, 2 << 20),
        (Kind.XZ, 32 << 20, 2 << 20),
        (Kind.BZIP2, 32 << 20, 2 << 20),
        (Kind.ZSTD, 200 << 20, 65 << 20),
    ],
)
def test_a_bomb_comes_out_in_bounded_blocks(kind: Kind, size: int, largest: int) -> None:
    """Zeros, all of them packed into one chunk of some kilobytes."""
    packed = PACK[kind](bytes(size))
    sizes = [len(each) for each in decode.unpack(kind, iter([packed]), "x")]
    assert sum(sizes) == size
    assert max(sizes) <= largest


def test_an_xz_dictionary_that_is_too_large_is_refused() -> None:
    # Packing with 1 GiB would take gigabytes, so it is put into the block's header afterwards.
    packed = bytearray(lzma.compress(b"data", preset=0))
    assert packed[14:17] == b"\x21\x01\x0c", "LZMA2, one byte of properties: 256 KiB"
    packed[16] = 0x24
    packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
    with pytest.raises(ImageRefused, match="damaged: Memory"):
        unpack(Kind.XZ, bytes(packed))


def test_what_the_source_raises_goes_through() -> None:
    def failing() -> Iterator[bytes]:
        yield packed_data(Kind.GZIP)[:1000]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(decode.unpack(Kind.GZIP, failing(), "x"))
