"""How much a disk may still take of its volume."""

import os
import struct
from pathlib import Path
from typing import Literal

from launcher.disk import space
from launcher.disk.space import Backing

MIB = 1 << 20
FORMATS: tuple[Literal["qcow2", "raw"], ...] = ("qcow2", "raw")


def qcow2(folder: Path, snapshots: int) -> Path:
    """A file that takes a MiB and more, with the header of a disk of 512 bytes in version 2."""
    path = folder / "disk"
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 512, 0, 0, 0, 0, 0, snapshots, 0
    )
    path.write_bytes(header.ljust(64 << 10, b"\0") + os.urandom(MIB))
    return path


def test_what_was_written_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.write(os.urandom(MIB))
        file.truncate(5 * MIB)
    found = space.look(Backing(path, 10 * MIB, "raw"))
    assert found
    # Some file systems keep a block more for themselves.
    assert 9 * MIB - 64 * 1024 <= found.growth <= 9 * MIB
    assert 0 < found.free <= found.total
    assert found.path == path


def test_one_that_takes_more_than_the_guest_sees_needs_no_more(tmp_path: Path) -> None:
    """Its tables take space, too."""
    path = qcow2(tmp_path, snapshots=0)
    found = space.look(Backing(path, 512, "qcow2"))
    assert found
    assert (found.growth, found.missing) == (0, 0)


def test_what_snapshots_hold_is_no_space_for_the_guest(tmp_path: Path) -> None:
    """It may have to be written anew, all of it, and the file says no more than how many there
    are."""
    path = qcow2(tmp_path, snapshots=2)
    found = space.look(Backing(path, MIB, "qcow2"))
    assert found
    assert found.growth == MIB


def test_what_a_guest_writes_to_a_raw_disk_says_nothing_of_it(tmp_path: Path) -> None:
    path = qcow2(tmp_path, snapshots=2)
    found = space.look(Backing(path, MIB, "raw"))
    assert found
    assert found.growth == 0


def test_one_whose_header_cannot_be_understood_may_take_all(tmp_path: Path) -> None:
    """That there is space again lets the VM go on, so it must be seen."""
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(MIB))
    found = space.look(Backing(path, 5 * MIB, "qcow2"))
    assert found
    assert found.growth == 5 * MIB


def test_missing_is_what_the_volume_lacks() -> None:
    made = space.Space(Path("/pet/a"), free=3, total=10, growth=7)
    assert made.missing == 4


def test_a_device_and_what_is_gone_have_no_space_to_be_told(tmp_path: Path) -> None:
    assert space.look(Backing(tmp_path, None, "raw")) is None
    for form in FORMATS:
        assert space.look(Backing(tmp_path / "gone", MIB, form)) is None
