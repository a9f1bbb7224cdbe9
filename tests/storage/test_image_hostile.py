"""Hostile images, from the source on: refused with their own words before qemu-img is started."""

import re
from pathlib import Path

import pytest

from launcher.host import process
from tests.storage.conftest import Images, Volume
from tests.storage.outcomes import refusal
from tests.unit.image.format.hostile.table import TRAPS
from tests.unit.image.format.hostile.trap import Trap


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Is there once qemu-img was started: one that does nothing else goes before the real one."""
    notes = tmp_path / "started"
    program = tmp_path / "bin/qemu-img"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n: >{notes}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{process.ENVIRONMENT['PATH']}"
    monkeypatch.setitem(process.ENVIRONMENT, "PATH", path)
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
