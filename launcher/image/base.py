"""What the rest of Berth knows of a base image."""

from pathlib import Path
from typing import NamedTuple


class Base(NamedTuple):
    """A qcow2 image on the shared volume that was verified and never changes.

    `digest`: sha256 of the file at `path`, in hex. `size`: bytes of that file. `virtual_size`:
    bytes of the disk inside. `source`: where it came from, without anything secret.
    """

    path: Path
    digest: str
    size: int
    virtual_size: int
    source: str
