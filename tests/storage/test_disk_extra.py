"""Block devices among the extra disks."""

import os
import stat
from pathlib import Path

from launcher.disk.extra import ExtraDisk, find


def test_block_device_and_link_to_one(tmp_path: Path) -> None:
    # Nothing opens it, so there need not be a device of that number.
    device = tmp_path / "b"
    os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(7, 255))
    (tmp_path / "a").symlink_to(device)
    assert find(tmp_path / "missing", tmp_path) == (
        ExtraDisk(tmp_path / "a", is_block=True),
        ExtraDisk(device, is_block=True),
    )
