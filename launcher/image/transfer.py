"""One pass over the bytes of a source.

They arrive, are hashed for the checksum, unpacked, hashed for the name, and written to a file: all
at the same time, so that the slowest of it is all that is waited for.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.host.errors import ImageRefused
from launcher.image import progress, space
from launcher.image.format import decode, layers
from launcher.image.format.content import Kind
from launcher.image.overlap import ahead
from launcher.image.settling import settling
from launcher.image.source.anew import anew
from launcher.image.source.kept import Files
from launcher.image.source.opened import opened
from launcher.image.source.stamp import Stamp
from launcher.image.source.stream import Stream
from launcher.image.wanted import Wanted
from launcher.settings.parse import Checksum

if TYPE_CHECKING:
    from hashlib import _Hash

ZEROS = bytes(decode.BLOCK)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is in `file` now: its format, its size in bytes, and digests in hex.

    `file` is the one that was named; where files have one name only, maybe that of the download,
    which need not be written twice.
    `arrived`: algorithm to digest, of the bytes as they came. `written`: sha256 of the file.
    `stamp` is of the source where that is a file.
    """

    file: Path
    kind: Kind
    size: int
    arrived: dict[str, str]
    written: str
    stamp: Stamp | None


def bring(
    want: Wanted,
    address: str,
    checksum: Checksum | None,
    part: Path,
    tell: Callable[[str], None] = progress.silent,
    files: Files | None = None,
    deadline: float | None = None,
) -> Arrival:
    """Bring the bytes at `address` over, unpacked, into `part`, and compare with `checksum`.

    What is not packed and can be fetched in parts is in the data of `files` already, which get the
    name `part`.

    :param files: what a download may be kept in, for the next try to go on with.
    :param tell: is told every few seconds how far it is.
    :param deadline: of `time.monotonic()`; by default as far ahead as the terms say.
    :raise ImageRefused: when they are not an image, not a qcow2 image to trust as far as its
        header tells, or not what `checksum` says.
    :raise SourceUnavailable: when they do not come.
    :raise StorageError: when there is no space for them.
    """
    until = time.monotonic() + want.terms.patience if deadline is None else deadline

    def attempt(is_one_stream: bool) -> Arrival:
        with opened(
            address,
            want.setting,
            want.terms,
            files=None if is_one_stream else files,
            deadline=until,
        ) as stream:
            return _take_in(want, stream, checksum, part, tell)

    return anew(attempt, until)


def _take_in(
    want: Wanted,
    stream: Stream,
    checksum: Checksum | None,
    part: Path,
    tell: Callable[[str], None],
) -> Arrival:
    """Each step that takes time has a thread of its own: arriving, unpacking, writing."""
    import hashlib

    shown = want.shown
    hashes = {"sha256": hashlib.sha256()}
    if checksum is not None and checksum.algorithm == "sha512":
        hashes["sha512"] = hashlib.sha512()
    if stream.length is not None and stream.name is None:
        space.require(want.folder, stream.length)
    total = stream.length
    with (
        progress.shown(stream.verb, stream.length, tell=tell) as meter,
        ahead(_counted(stream.chunks, hashes, meter), stream.stop) as arriving,
        ExitStack() as stack,
    ):
        disk = layers.peel(arriving, shown, want.max_size)
        if disk.is_bare and stream.is_open_ended and checksum is None:
            raise _endless(shown)
        written, chunks, name = hashes["sha256"], disk.chunks, stream.name
        if disk.is_bare:
            stream.widen()
        else:
            total, name, written = None, None, hashlib.sha256()
            chunks = _hashed(stack.enter_context(ahead(chunks, arriving.stop)), written)
        size = _write(chunks, part, total) if name is None else sum(map(len, chunks))
        file = part if name is None else name(part)
    arrived = {name: each.hexdigest() for name, each in hashes.items()}
    if checksum is not None and arrived[checksum.algorithm] != checksum.digest:
        raise ImageRefused(
            f"{shown} has the wrong checksum: {checksum.algorithm} is "
            f"{arrived[checksum.algorithm]}, IMG_CHECKSUM says {checksum.digest}",
            hint="the image was changed, or damaged on its way; or IMG_CHECKSUM is of another one",
        )
    return Arrival(
        file=file,
        kind=disk.kind,
        size=size,
        arrived=arrived,
        written=written.hexdigest(),
        stamp=stream.stamp,
    )


def _endless(shown: str) -> ImageRefused:
    """Packings notice where they are cut. A raw disk of any number of sectors is one, and
    `qemu-img check` takes whatever is missing of the last cluster of a qcow2 image for zeros."""
    return ImageRefused(
        f"{shown}: the server does not say how long it is, so that nobody would notice if a part "
        "of it were missing",
        hint="set IMG_CHECKSUM, or use a server that sends a Content-Length",
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
        with part.open("wb") as file, settling(file.fileno()) as disk:
            for chunk in chunks:
                if chunk == ZEROS[: len(chunk)]:
                    file.seek(len(chunk), 1)
                else:
                    file.write(chunk)
                    disk.wrote(len(chunk))
                done += len(chunk)
            file.truncate(done)
    except OSError as err:
        raise space.failure(err, part.parent, written=done, total=total) from err
    return done
