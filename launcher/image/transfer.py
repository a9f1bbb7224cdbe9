"""One pass over the bytes of a source.

They arrive, are hashed for the checksum, unpacked, hashed for the name, and written to a file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.host.errors import ImageRefused
from launcher.image import progress, space
from launcher.image.format import decode, layers
from launcher.image.format.content import Kind
from launcher.image.source.opened import opened
from launcher.image.wanted import Wanted
from launcher.settings.parse import Checksum

if TYPE_CHECKING:
    from hashlib import _Hash

ZEROS = bytes(decode.BLOCK)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What was written: its format, its size in bytes, and digests in hex.

    `arrived`: algorithm to digest, of the bytes as they came. `written`: sha256 of the file.
    `source_size` and `source_mtime_ns` are those of the source where that is a file, else 0.
    """

    kind: Kind
    size: int
    arrived: dict[str, str]
    written: str
    source_size: int
    source_mtime_ns: int


def bring(
    want: Wanted,
    address: str,
    checksum: Checksum | None,
    part: Path,
    tell: Callable[[str], None] = progress.silent,
) -> Arrival:
    """Bring the bytes at `address` over, unpacked, into `part`, and compare with `checksum`.

    :param tell: is told every few seconds how far it is.
    :raise ImageRefused: when they are not an image, not a qcow2 image to trust as far as its
        header tells, or not what `checksum` says.
    :raise StorageError: when there is no space for them.
    """
    import hashlib

    shown = want.shown
    hashes = {"sha256": hashlib.sha256()}
    if checksum is not None and checksum.algorithm == "sha512":
        hashes["sha512"] = hashlib.sha512()
    with opened(address, want.setting) as stream:
        if stream.length is not None:
            space.require(want.folder, stream.length)
        total = stream.length
        with progress.shown(stream.verb, stream.length, tell=tell) as meter:
            disk = layers.peel(_counted(stream.chunks, hashes, meter), shown, want.max_size)
            written, chunks = hashes["sha256"], disk.chunks
            if not disk.is_bare:
                total, written = None, hashlib.sha256()
                chunks = _hashed(chunks, written)
            size = _write(chunks, part, total)
    arrived = {name: each.hexdigest() for name, each in hashes.items()}
    if checksum is not None and arrived[checksum.algorithm] != checksum.digest:
        raise ImageRefused(
            f"{shown} has the wrong checksum: {checksum.algorithm} is "
            f"{arrived[checksum.algorithm]}, IMG_CHECKSUM says {checksum.digest}",
            hint="the image was changed, or damaged on its way; or IMG_CHECKSUM is of another one",
        )
    return Arrival(
        kind=disk.kind,
        size=size,
        arrived=arrived,
        written=written.hexdigest(),
        source_size=(stream.length or 0) if stream.mtime_ns else 0,
        source_mtime_ns=stream.mtime_ns,
    )


def _counted(
    chunks: Iterator[bytes], hashes: "dict[str, _Hash]", meter: progress.Meter
) -> Iterator[bytes]:
    for chunk in chunks:
        for each in hashes.values():
            each.update(chunk)
        meter.advance(len(chunk))
        yield chunk


def _hashed(chunks: Iterator[bytes], into: "_Hash") -> Iterator[bytes]:
    for chunk in chunks:
        into.update(chunk)
        yield chunk


def _write(chunks: Iterator[bytes], part: Path, total: int | None) -> int:
    """Write `chunks` to `part`, with holes for blocks of zeros; returns how many bytes it has.

    :param total: how many there will be, if that is known.
    """
    done = 0
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                if chunk == ZEROS[: len(chunk)]:
                    file.seek(len(chunk), 1)
                else:
                    file.write(chunk)
                done += len(chunk)
            file.truncate(done)
    except OSError as err:
        raise space.failure(err, part.parent, written=done, total=total) from err
    return done
