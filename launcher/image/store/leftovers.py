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


def remove(
    folder: Path, key: str, *, but: Collection[Path] = ()
) -> tuple[tuple[Path, OSError], ...]:
    """Remove what fetches of an address left, as far as that is possible: pods of several users may
    share the volume. Returns what is still there, and why.

    To be called by who holds its lease, and only where nobody else can still be at work.
    """
    failed = []
    for each in of(folder, key):
        if each not in but:
            try:
                unlink(each)
            except OSError as err:
                failed.append((each, err))
    return tuple(failed)


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
