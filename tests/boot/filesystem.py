"""A guest's filesystem as its disk has it, looked at while the VM is off."""

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
# The MBR's table of primary partitions: its offset, an entry's length, where the first sector is.
TABLE, ENTRY, START = 446, 16, 8


@dataclass(frozen=True)
class Verdict:
    """`is_clean`: it was unmounted. `is_sound`: e2fsck finds nothing to mend."""

    is_clean: bool
    is_sound: bool


def judge(disk: Path, partition: int, scratch: Path) -> Verdict:
    """Judge the ext4 filesystem on a partition (from 1) of `disk`, a qcow2 image that is left as
    it is."""
    raw = scratch / "disk.raw"
    run("qemu-img", "convert", "-O", "raw", str(disk), str(raw))
    with raw.open("rb") as file:
        head = file.read(SECTOR)
    (start,) = struct.unpack_from("<I", head, TABLE + (partition - 1) * ENTRY + START)
    place = f"{raw}?offset={start * SECTOR}"
    superblock = run("dumpe2fs", "-h", place)
    lines = dict(line.split(":", 1) for line in superblock.splitlines() if ":" in line)
    check = subprocess.run(["e2fsck", "-fn", place], capture_output=True, text=True)
    return Verdict(
        is_clean=lines["Filesystem state"].strip() == "clean"
        and "needs_recovery" not in lines["Filesystem features"],
        is_sound=check.returncode == 0,
    )


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
