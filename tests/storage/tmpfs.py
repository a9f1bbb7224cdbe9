"""Small file systems, and what fills them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.qcow2 import run


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs at `folder`, which is there; `options` such as `size=8m`."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    run("mount", "-t", "tmpfs", "-o", options, "berth-test", folder)
    try:
        yield folder
    finally:
        run("umount", folder)


def fill(folder: Path, *, but: int = 0) -> None:
    """Leave `but` bytes of the file system, in a file `fill` there."""
    found = os.statvfs(folder)
    (folder / "fill").write_bytes(bytes(found.f_bavail * found.f_frsize - but))
