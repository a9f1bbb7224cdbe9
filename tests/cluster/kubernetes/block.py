"""Files as block devices, for claims with `volumeMode: Block`."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Loop:
    """A loop device. `inode` is what is behind it, with the device that holds it."""

    device: str
    file: Path
    inode: tuple[int, int]


def attach(file: Path, size: int) -> str:
    """Make a sparse file of `size` bytes, unless it is there, and a block device of it.

    :returns: the device's path; the same one when it is attached already.
    """
    with file.open("ab") as made:
        made.truncate(max(size, made.tell()))
    for loop in _loops():
        if loop.file == file:
            return loop.device
    return _run("losetup", "--find", "--show", file).strip()


def detach_below(folder: Path) -> None:
    """Detach all files that are in this folder or below it.

    On each of their devices a kubelet has another one, to keep it open; one that was killed still
    has. What kubelet calls its file means nothing outside of its node, so it goes by the inode.
    """
    loops = _loops()
    ours = [loop for loop in loops if loop.file.is_relative_to(folder)]
    below = {_inode(loop.device) for loop in ours}
    for loop in [*(each for each in loops if each.inode in below), *ours]:
        # It may be gone meanwhile.
        subprocess.run(["losetup", "--detach", loop.device], capture_output=True)


def _inode(path: str) -> tuple[int, int]:
    status = Path(path).stat()
    return status.st_dev, status.st_ino


def _loops() -> list[Loop]:
    columns = "NAME,BACK-FILE,BACK-MAJ:MIN,BACK-INO"
    listed = _run("losetup", "--list", "--json", "--output", columns)
    loops = []
    for each in json.loads(listed)["loopdevices"] if listed else ():
        inode = (_device(each["back-maj:min"]), int(each["back-ino"]))
        loops.append(Loop(each["name"], Path(each["back-file"]), inode))
    return loops


def _device(numbers: str) -> int:
    major, minor = map(int, numbers.split(":"))
    return os.makedev(major, minor)


def _run(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
