"""qemu-img's words for a pet's disk."""

from pathlib import Path

import pytest

from launcher.disk import overlay
from launcher.disk.place import Place
from tests.conftest import Golden
from tests.unit.disk.sample import GIB, base

PLACE = Place(Path("/pet"), "web-3")


def test_command_lines(golden: Golden) -> None:
    lines = [
        overlay.create_argv(PLACE, base(), 10 * GIB, sparse=True),
        overlay.grow_argv(PLACE, 11 * GIB, sparse=True),
        overlay.create_argv(PLACE, base(), 10 * GIB, sparse=False),
        overlay.grow_argv(PLACE, 11 * GIB, sparse=False),
    ]
    golden("disk/qemu-img.args", "\n".join(" ".join(line) for line in lines) + "\n")


@pytest.mark.parametrize(("size", "way"), [(256 * GIB, "metadata"), (256 * GIB + 512, "off")])
def test_tables_of_a_very_large_disk_are_not_made_beforehand(size: int, way: str) -> None:
    argv = overlay.create_argv(PLACE, base(), size, sparse=True)
    assert f"preallocation={way}" in argv[argv.index("-o") + 1]
    assert f"--preallocation={way}" in overlay.grow_argv(PLACE, size, sparse=True)
