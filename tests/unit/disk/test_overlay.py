"""qemu-img's words for a pet's disk."""

from pathlib import Path

import pytest

from launcher.disk import overlay
from launcher.disk.place import Place
from tests.conftest import Golden
from tests.unit.disk.sample import GIB, base

MIB = 1 << 20
PLACE = Place(Path("/pet"), "web-3")


def test_command_lines(golden: Golden) -> None:
    lines = [
        overlay.create_argv(PLACE, base(), 10 * GIB, preallocate=True),
        overlay.grow_argv(PLACE, 11 * GIB, preallocate=True),
        overlay.create_argv(PLACE, base(), 10 * GIB, preallocate=False),
        overlay.grow_argv(PLACE, 11 * GIB, preallocate=False),
    ]
    golden("disk/qemu-img.args", "\n".join(" ".join(line) for line in lines) + "\n")


@pytest.mark.parametrize(
    ("size", "has_holes", "free", "expected"),
    [
        (10 * GIB, True, GIB, True),
        (10 * GIB, False, GIB, False),
        (10 * GIB, True, None, False),
        # What tables would take should be nothing to the volume.
        (10 * GIB, True, 25 * MIB, True),
        (10 * GIB, True, 20 * MIB, False),
        (256 * GIB, True, 1000 * GIB, True),
        (256 * GIB + 512, True, 1000 * GIB, False),
    ],
)
def test_tables_are_made_beforehand(
    size: int, has_holes: bool, free: int | None, expected: bool
) -> None:
    assert overlay.preallocates(size, has_holes=has_holes, free=free) is expected


def test_qemu_img_has_time_for_each_of_its_flushes() -> None:
    """Four for each GiB of tables. A start that is cut short begins anew, and would never end."""
    assert overlay.patience(256 * GIB, preallocate=True) > 256 * 4 * 0.4
    assert overlay.patience(256 * GIB, preallocate=False) == overlay.patience(0, preallocate=True)
