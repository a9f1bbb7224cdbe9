"""The images that are fetched: one that does not pack, and packed ones that do."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MIB = 1 << 20
# How file systems lay out files.
BLOCK = 4096

# Packers as people use them, which is with their defaults.
PACKERS = {
    "gz": ("gzip", "--keep"),
    "xz": ("xz", "--keep", "--threads=0"),
    "zst": ("zstd", "--quiet", "--threads=0"),
}


class Image(NamedTuple):
    """A file with its sha256 in hex. `inside`: the qcow2 image that is in it."""

    path: Path
    digest: str
    inside: Path


def random(folder: Path, size: int) -> Image:
    """A qcow2 image with `size` bytes of random data; what a network carries, undiminished."""
    return _plain(folder / "random.qcow2", (os.urandom(MIB) for _ in range(size // MIB)))


def packed(folder: Path, packing: str, size: int) -> Image:
    """A qcow2 image with `size` bytes of programs and libraries, packed: they pack as those of a
    guest do."""
    inside = _plain(folder / f"system-{packing}.qcow2", _system(size)).path
    subprocess.run([*PACKERS[packing], inside], check=True)
    path = inside.with_name(f"{inside.name}.{packing}")
    return Image(path, _digest(path), inside)


def _plain(path: Path, chunks: Iterator[bytes]) -> Image:
    raw = path.with_suffix(".raw")
    with raw.open("wb") as file:
        file.writelines(chunks)
    convert = ("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path)
    subprocess.run(convert, check=True)
    raw.unlink()
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", path], check=True)
    return Image(path, _digest(path), path)


def _system(size: int) -> Iterator[bytes]:
    """Files of this machine, one after the other and over again, until there are `size` bytes."""
    missing = size
    while missing:
        for folder, folders, files in os.walk("/usr/lib"):
            folders.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file():
                    continue
                content = path.read_bytes()
                content = (content + bytes(-len(content) % BLOCK))[:missing]
                yield content
                missing -= len(content)
                if not missing:
                    return


def _digest(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
