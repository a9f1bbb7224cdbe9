"""Hostile images, from the source on: refused with their own words before qemu-img is started."""

import re
from pathlib import Path

import pytest

from tests.storage.conftest import Images, Replace, Volume
from tests.storage.outcomes import refusal
from tests.unit.image.format.hostile.table import TRAPS
from tests.unit.image.format.hostile.trap import Trap


@pytest.fixture
def started(tmp_path: Path, qemu_img_does: Replace) -> Path:
    """Is there once qemu-img was started."""
    notes = tmp_path / "started"
    qemu_img_does(f": >{notes}")
    return notes


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_traps(volume: Volume, tmp_path: Path, started: Path, trap: Trap) -> None:
    path = tmp_path / "image"
    path.write_bytes(trap.image)
    assert re.search(trap.words, refusal(volume, path))
    assert not started.exists()


def test_what_is_no_trap_gets_there(volume: Volume, images: Images, started: Path) -> None:
    volume.ensure(images.qcow2)
    assert started.exists()
