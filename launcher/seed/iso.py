"""A tree of files → an ISO 9660 image, with Joliet for Windows and Rock Ridge for all others.

The image is written into a file that QEMU has open already: QEMU starts while pycdlib is being
imported. So the file gets its size first (`capacity`, which needs no more than arithmetic), QEMU
opens it read-only, and then it is filled, never replaced. What is left of it behind the image is
zeros, which ISO 9660 allows: a volume says itself how long it is.
"""

import os
import re
from io import BytesIO
from pathlib import Path

from launcher.host import access
from launcher.host.account import Account
from launcher.host.errors import StorageError
from launcher.seed.tree import Tree

SECTOR = 2048

# Sectors of an image besides its folders and files: the system area, volume descriptors, path
# tables and Rock Ridge's shared continuation come to 29 in pycdlib 1.22.
FIXED = 64
# A folder has a sector in each of the two trees.
PER_FOLDER = 2
# A file's two records, of up to 255 bytes each, and its long name.
PER_FILE = 1


def capacity(tree: Tree) -> int:
    """Bytes that the image of `tree` needs at most: a multiple of 2048."""
    inside = sum(PER_FILE + sectors(len(file.content)) for file in tree)
    return SECTOR * (FIXED + PER_FOLDER * (len(folders(tree)) + 1) + inside)


def sectors(size: int) -> int:
    return -(-size // SECTOR)


def folders(tree: Tree) -> list[str]:
    """Every folder's path, parents first."""
    found: dict[str, None] = {}
    for file in tree:
        parts = file.path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            found["/".join(parts[:depth])] = None
    return list(found)


def reserve(path: Path, size: int, account: Account | None = None) -> None:
    """Make a new file of `size` zeros that only we and `account`, QEMU's user, may read, whatever
    was there before.

    :raise StorageError: when it cannot be made.
    """
    try:
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
        try:
            os.ftruncate(file, size)
        finally:
            os.close(file)
    except OSError as err:
        raise StorageError(f"the config drive {path} cannot be made: {err.strerror}") from err
    access.grant(path, account, access.READ)


def write(tree: Tree, label: str, path: Path) -> None:
    """Fill the file that `reserve` made with the image of `tree`.

    The time stamps in it are those of the writing.

    :raise StorageError: when the file cannot be written.
    """
    data = image(tree, label)
    try:
        file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(file).st_size
            if len(data) > size:
                raise RuntimeError(f"a config drive of {len(data)} bytes in a file of {size}")
            done = 0
            while done < len(data):
                done += os.pwrite(file, memoryview(data)[done:], done)
        finally:
            os.close(file)
    except OSError as err:
        raise StorageError(f"the config drive {path} cannot be written: {err.strerror}") from err


def image(tree: Tree, label: str) -> bytes:
    """The image of `tree`.

    :param label: the volume's label; with Joliet no longer than 16 characters.
    """
    from pycdlib import PyCdlib

    iso = PyCdlib()
    iso.new(interchange_level=3, vol_ident=label, joliet=3, rock_ridge="1.09")
    for folder in folders(tree):
        name = folder.rpartition("/")[2]
        iso.add_directory(_iso_path(folder), rr_name=name, joliet_path=f"/{folder}")
    for file in tree:
        iso.add_fp(
            BytesIO(file.content),
            # In bytes: a length that is not that of the content goes unnoticed by pycdlib.
            len(file.content),
            f"{_iso_path(file.path)}.;1",
            rr_name=file.path.rpartition("/")[2],
            joliet_path=f"/{file.path}",
        )
    result = BytesIO()
    iso.write_fp(result)
    iso.close()
    return result.getvalue()


def _iso_path(path: str) -> str:
    """`path` in the few characters of plain ISO 9660, for readers that know neither extension."""
    return "/" + re.sub("[^A-Z0-9/]", "_", path.upper())
