"""What is written survives a power cut."""

import os
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until the bytes of the file at `path` would survive a power cut.

    :raise OSError:
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_names(folder: Path) -> None:
    """The same for the names in `folder`. Not every network file system has this; there, names are
    made to last by the server."""
    with suppress(OSError):
        sync(folder)
