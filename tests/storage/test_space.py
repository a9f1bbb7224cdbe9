"""What a pet may still take of its volume, with snapshots in its file."""

import subprocess
from pathlib import Path

from launcher.disk import space
from launcher.disk.snapshot import offline
from launcher.disk.space import Backing, Space
from tests.storage.pet_volumes import MIB, Volumes, volumes
from tests.storage.qcow2 import write

SIZE = 100 * MIB


def look(made: Volumes) -> Space:
    found = space.look(Backing(made.disk, SIZE, "qcow2"))
    assert found
    return found


def test_what_only_a_snapshot_holds_is_written_anew(tmp_path: Path) -> None:
    made = volumes(tmp_path)
    write(made.disk, 5, "0", str(SIZE))
    assert look(made).growth == 0
    offline.create(made.place, "early", "", None)
    taken = made.disk.stat().st_blocks
    expected = look(made).growth
    write(made.disk, 6, "0", str(SIZE))
    # All of it was said beforehand, but for the tables.
    grown = (made.disk.stat().st_blocks - taken) * 512
    assert SIZE <= grown < expected + MIB
    # It still is more than may come, and cannot be told apart.
    assert look(made).growth == SIZE
    offline.delete(made.place, "early", None)
    assert look(made).growth == 0


def test_it_is_told_of_a_disk_in_use(tmp_path: Path) -> None:
    """QEMU has it locked."""
    made = volumes(tmp_path)
    offline.create(made.place, "early", "", None)
    argv = ["qemu-io", "-f", "qcow2", str(made.disk)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdin
        assert user.stdout
        assert user.stdout.read(len("qemu-io>")) == b"qemu-io>"
        assert look(made).growth == SIZE
        user.stdin.close()
