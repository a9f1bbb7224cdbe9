"""What a fetch of a packed image is made of, each part alone. All return seconds.

Input comes from the page cache. The parts are the plainest that libraries offer: our own code
around them would hide what it costs.
"""

import hashlib
import lzma
import os
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from tests.bench.fetch.contenders import Contender
from tests.bench.fetch.images import Image

CHUNK = 1 << 20

CURL = 'curl --disable --silent --show-error --fail --output image "$URL"'
TOOLS = {
    "gz": ("gzip", "-dc"),
    "xz": ("xz", "-dc", "--threads=1"),
    "zst": ("zstd", "-dc", "--quiet", "--no-progress"),
}


def download(url: str, folder: Path) -> float:
    """By curl, as a process, to a file."""
    return Contender(("sh", "-ec", CURL), {"URL": url}, folder).measure()


def unpack(image: Image) -> float:
    """By Python's library, to nowhere."""
    return _timed(lambda: LIBRARIES[image.path.suffix.removeprefix(".")](image.path))


def unpack_by_tool(image: Image) -> float:
    """By the packer's own program, to nowhere."""
    argv = (*TOOLS[image.path.suffix.removeprefix(".")], str(image.path))
    return _timed(lambda: subprocess.run(argv, check=True, stdout=subprocess.DEVNULL))


def digest(image: Image) -> float:
    """sha256 of what is inside, which is more than what arrives."""

    def work() -> None:
        with image.inside.open("rb", buffering=0) as file:
            hashlib.file_digest(file, "sha256")

    return _timed(work)


def write(image: Image, folder: Path) -> float:
    """What is inside, to a file, until it is on the disk."""

    def work() -> None:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for chunk in _chunks(image.inside):
                file.write(chunk)
            os.fsync(file.fileno())

    os.sync()
    return _timed(work)


def _timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _gunzip(path: Path) -> None:
    decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    for chunk in _chunks(path):
        decoder.decompress(chunk)


def _unxz(path: Path) -> None:
    decoder = lzma.LZMADecompressor()
    for chunk in _chunks(path):
        decoder.decompress(chunk)


def _unzstd(path: Path) -> None:
    with path.open("rb", buffering=0) as file, Path(os.devnull).open("wb", buffering=0) as nowhere:
        packed: BinaryIO = file
        zstandard.ZstdDecompressor().copy_stream(packed, nowhere)


LIBRARIES = {"gz": _gunzip, "xz": _unxz, "zst": _unzstd}
