"""Unpacking while the bytes arrive, with bounded memory whatever they hold.

Bytes go in and out as iterators, so that nothing here knows of networks or files. Each decoder
hands out pieces of a bounded size: one MiB of zeros packed well is gigabytes unpacked.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from launcher.host.errors import ImageRefused
from launcher.image.format.content import ACCEPTED, Kind

logger = logging.getLogger("startvm")

BLOCK = 1 << 20

# xz -9 takes 65 MiB to unpack. A dictionary is allocated for the asking, so there has to be a cap.
XZ_MEMORY = 256 << 20

# One call of zstd's decoder cannot be told to stop, and four bytes can mean 128 KiB: a slice of
# this size means 64 MiB at the very worst. Smaller ones cost speed.
ZSTD_SLICE = 2048

# Each member costs the time of a hundred bytes and more, whatever is in it, and twenty bytes of
# gzip can be one that holds nothing. Parallel packers make members of 64 KiB or more.
SLICE = 16 << 10
MOST_SMALL_MEMBERS = 10_000
LEAST_MEMBER = 1024

# gzip and bzip2 themselves ignore what follows (OpenWrt's images carry metadata there).
TRAILING_IS_FINE = (Kind.GZIP, Kind.BZIP2)


class Member(Protocol):
    """A decoder for one member (gzip), stream (xz, bzip2) or frame (zstd)."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def pieces(self, data: bytes) -> Iterator[bytes]: ...


def unpack(kind: Kind, chunks: Iterable[bytes], source: str) -> Iterator[bytes]:
    """Unpack `chunks`; the blocks that come out have 1 MiB, but for the last.

    :raise ImageRefused: when they are damaged or end too soon. What `chunks` raises goes through.
    """
    import lzma
    import zlib

    import zstandard

    pieces = _members(kind, MEMBERS[kind], chunks, source)
    while True:
        try:
            block = _gather(pieces)
        # bz2's decoder raises a bare OSError, EOFError and ValueError for damaged data.
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError, ValueError, EOFError) as err:
            raise ImageRefused(f"{source}: its {kind} packing is damaged: {err}") from err
        if not block:
            return
        yield block


def _gather(pieces: Iterator[bytes]) -> bytes:
    """The next pieces, joined to a block of about 1 MiB; empty at the end."""
    found = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size >= BLOCK:
            break
    return found[0] if len(found) == 1 else b"".join(found)


def _members(
    kind: Kind, new: Callable[[], Member], chunks: Iterable[bytes], source: str
) -> Iterator[bytes]:
    """All that is packed in `chunks`: packers may write many members, one after the other."""
    magics = ACCEPTED[kind]
    longest = max(len(magic) for magic in magics)
    member: Member | None = None
    started = False
    rest = b""
    members = size = 0
    chunks = iter(chunks)
    for chunk in _sliced(chunks):
        data = rest + chunk
        rest = b""
        while data:
            if member is None:
                # Padding with zeros is usual on tapes, and part of xz's format.
                data = data.lstrip(b"\0") if started else data
                if len(data) < longest:
                    rest = data
                    break
                if started and not data.startswith(magics):
                    _trailing(kind, source)
                    for _ in chunks:  # their count and their hash still matter
                        pass
                    return
                member, started = new(), True
                members += 1
                if members > MOST_SMALL_MEMBERS and size < members * LEAST_MEMBER:
                    raise ImageRefused(
                        f"{source}: its {kind} packing has {members} parts and more, which hold "
                        f"{size} bytes: unpacking it would take time and yield nothing"
                    )
            for piece in member.pieces(data):
                size += len(piece)
                yield piece
            if not member.eof:
                break
            data, member = member.unused_data, None
    # A few bytes that could be the start of one more member mean that the rest of it is missing.
    cut = any(magic.startswith(rest) for magic in magics) if rest else False
    if member is not None or not started or cut:
        raise ImageRefused(f"{source}: its {kind} packing ends too soon")
    if rest:
        _trailing(kind, source)


def _sliced(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """`chunks` in slices: all that follows a member is copied, once for each member."""
    for chunk in chunks:
        for start in range(0, len(chunk), SLICE):
            yield chunk[start : start + SLICE]


def _trailing(kind: Kind, source: str) -> None:
    if kind not in TRAILING_IS_FINE:
        raise ImageRefused(f"{source}: something that is not {kind} follows its {kind} packing")
    logger.warning("%s: what follows its %s packing is ignored", source, kind)


class _Gzip:
    def __init__(self) -> None:
        import zlib

        self._raw = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._raw.eof

    @property
    def unused_data(self) -> bytes:
        return self._raw.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data and not self._raw.eof:
            yield self._raw.decompress(data, BLOCK)
            data = self._raw.unconsumed_tail


class _Xz:
    def __init__(self) -> None:
        import lzma

        self._raw = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    @property
    def eof(self) -> bool:
        return self._raw.eof

    @property
    def unused_data(self) -> bytes:
        return self._raw.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._raw.decompress(data, BLOCK)
        while not self._raw.eof and not self._raw.needs_input:
            yield self._raw.decompress(b"", BLOCK)


class _Bzip2:
    def __init__(self) -> None:
        import bz2

        self._raw = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._raw.eof

    @property
    def unused_data(self) -> bytes:
        return self._raw.unused_data

    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield self._decompress(data)
        while not self._raw.eof and not self._raw.needs_input:
            yield self._decompress(b"")

    def _decompress(self, data: bytes) -> bytes:
        try:
            return self._raw.decompress(data, BLOCK)
        except OSError as err:
            # Elsewhere an OSError means that a disk or a network failed.
            raise ValueError(str(err)) from err


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._raw = zstandard.ZstdDecompressor().decompressobj()
        self._unused = b""

    @property
    def eof(self) -> bool:
        return self._raw.eof

    @property
    def unused_data(self) -> bytes:
        return self._unused

    def pieces(self, data: bytes) -> Iterator[bytes]:
        view = memoryview(data)
        for start in range(0, len(data), ZSTD_SLICE):
            yield self._raw.decompress(view[start : start + ZSTD_SLICE])
            if self._raw.eof:
                self._unused = self._raw.unused_data + data[start + ZSTD_SLICE :]
                return


MEMBERS: dict[Kind, Callable[[], Member]] = {
    Kind.GZIP: _Gzip,
    Kind.XZ: _Xz,
    Kind.ZSTD: _Zstd,
    Kind.BZIP2: _Bzip2,
}
