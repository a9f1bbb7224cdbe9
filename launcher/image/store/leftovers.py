"""What fetches leave on the shared volume when they die.

::

    fetch-<key>.part, fetch-<key>.json   what the next fetch of the address goes on with
    fetch-<key>.<random>.part            a file under way, or a folder with one; of no use

`<key>` stands for the address, as in the names of its leases.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path


def of(folder: Path, key: str) -> Iterator[Path]:
    """All of one address, but for its leases."""
    for each in folder.glob(f"fetch-{key}.*"):
        if not each.name.startswith(f"fetch-{key}.lease"):
            yield each


def remove(folder: Path, key: str, *, but: Collection[Path] = ()) -> None:
    """Remove what fetches of an address left.

    To be called by who holds its lease, and only where nobody else can still be at work.

    :raise OSError: where that is impossible.
    """
    for each in of(folder, key):
        if each not in but:
            unlink(each)


def unlink(path: Path) -> None:
    """Remove a file, or a folder of files; it may be gone.

    :raise OSError: where that is impossible.
    """
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            for each in path.iterdir():
                each.unlink()
            path.rmdir()
        else:
            path.unlink()
