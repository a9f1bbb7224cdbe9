"""Overlays on a base full of data, and writes to them by QEMU's block layer, without a guest."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from launcher.disk import overlay
from launcher.host import storage
from launcher.machine import drives
from launcher.machine.devices import PetDisk

MIB = 1 << 20
WRITE = 4096
# A golden section of the disk (the smaller one: qemu-img takes no step of 2 GiB) spreads any number
# of writes evenly, and an odd number of writes comes back to none before it has been to all.
GOLDEN = 0.381966


def step(size: int) -> int:
    """Bytes from one write to the next on a disk of `size` bytes, a power of two."""
    return (int(size * GOLDEN) // WRITE | 1) * WRITE


class Writes(NamedTuple):
    """`number` writes of 4 KiB each, `depth` at a time, all over a disk of `size` bytes."""

    number: int
    depth: int
    size: int

    def argv(self, opened: str) -> list[str]:
        """qemu-img's command line; `opened` is the disk in the words of --image-opts.

        One flush at the end belongs to it: until then nothing has to be on the disk.
        """
        return [
            "qemu-img", "bench", "-w",
            "-c", str(self.number),
            "-d", str(self.depth),
            "-s", str(WRITE),
            "-S", str(step(self.size)),
            "--flush-interval", str(self.number),
            # Zeros would be no data to QEMU that detects them.
            "--pattern", "165",
            "--image-opts", opened,
        ]  # fmt: skip


@dataclass(frozen=True)
class Overlay:
    """A kind of overlay: how it is made, and how it is opened."""

    name: str
    base: Path
    folder: Path
    options: str = ""
    as_berth: bool = True

    @property
    def path(self) -> Path:
        return self.folder / "overlay.qcow2"

    def make(self) -> None:
        self.path.unlink(missing_ok=True)
        options = ("-o", self.options) if self.options else ()
        argv = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.base, "-F", "qcow2", *options)
        subprocess.run([*argv, self.path], check=True)

    @property
    def opened(self) -> str:
        """In the words of --image-opts: as the launcher has QEMU open pets, or as QEMU would."""
        if not self.as_berth:
            return f"driver=qcow2,file.driver=file,file.filename={self.path}"
        direct = storage.supports_direct(self.path)
        disk = PetDisk(self.path, self.base, direct, storage.choose_aio(direct))
        base, pet = (words for flag, words in drives.pet(disk) if flag == "-blockdev")
        # One disk is all that qemu-img takes: the base's words go into the overlay's, and say what
        # they need not say of a node of its own, which inherits nothing.
        base += ",cache.direct=off,file.cache.direct=off"
        below = ",".join(f"backing.{word}" for word in base.split(","))
        assert "backing=base" in pet.split(",")
        return pet.replace("backing=base", below)

    def allocated(self) -> int:
        """Bytes that it takes of its file system."""
        return self.path.stat().st_blocks * 512

    def write(self, writes: Writes) -> float:
        """Returns writes per second, as qemu-img counts: without its start and its end."""
        os.sync()
        done = subprocess.run(writes.argv(self.opened), check=True, capture_output=True, text=True)
        found = re.search(r"Run completed in ([0-9.]+) seconds", done.stdout)
        assert found, done.stdout
        return writes.number / float(found[1])


def kinds(base: Path, folder: Path) -> list[Overlay]:
    """Ours, and QEMU's default, opened as ours and as QEMU opens disks by default."""
    return [
        Overlay("berth", base, folder, overlay.options(preallocate=True)),
        Overlay("default qcow2", base, folder),
        Overlay("default, page cache", base, folder, as_berth=False),
    ]


def make_base(path: Path, size: int) -> None:
    """A qcow2 image of `size` bytes, each cluster of which has data."""
    raw = path.with_suffix(".raw")
    block = os.urandom(MIB)
    with raw.open("wb") as file:
        for _ in range(size // MIB):
            file.write(block)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
