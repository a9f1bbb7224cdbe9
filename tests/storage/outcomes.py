"""What comes out of a fetch: a disk as a guest reads it, or a refusal that leaves nothing."""

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from launcher.host.errors import ImageRefused
from tests.storage.conftest import Volume, qemu_img

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    # The zstd program adds a checksum, too.
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bz2": bz2.compress,
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def disk(path: Path) -> bytes:
    """What a guest would read from the qcow2 image at `path`."""
    raw = path.with_suffix(".read-back")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    content = raw.read_bytes()
    raw.unlink()
    return content


def refusal(volume: Volume, source: str | Path, **environ: str) -> str:
    with pytest.raises(ImageRefused) as caught:
        volume.ensure(source, **environ)
    assert volume.names() == [], "nothing half-written, and nothing with a name"
    return str(caught.value)
