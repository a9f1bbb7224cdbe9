"""How much a disk may still take of its volume."""

import os
from pathlib import Path

from launcher.disk import space
from launcher.disk.space import Backing

MIB = 1 << 20


def test_what_was_written_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.write(os.urandom(MIB))
        file.truncate(5 * MIB)
    found = space.look(Backing(path, 10 * MIB))
    assert found
    # Some file systems keep a block more for themselves.
    assert 9 * MIB - 64 * 1024 <= found.growth <= 9 * MIB
    assert 0 < found.free <= found.total
    assert found.path == path


def test_one_that_takes_more_than_the_guest_sees_needs_no_more(tmp_path: Path) -> None:
    """Its tables take space, too."""
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(MIB))
    found = space.look(Backing(path, 512))
    assert found
    assert (found.growth, found.missing) == (0, 0)


def test_missing_is_what_the_volume_lacks() -> None:
    made = space.Space(Path("/pet/a"), free=3, total=10, growth=7)
    assert made.missing == 4


def test_a_device_and_what_is_gone_have_no_space_to_be_told(tmp_path: Path) -> None:
    assert space.look(Backing(tmp_path, None)) is None
    assert space.look(Backing(tmp_path / "gone", MIB)) is None
