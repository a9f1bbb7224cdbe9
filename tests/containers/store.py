"""Finished files in the cache: made once whoever asks, whole whenever they are there."""

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from tests.guests import cache

# Other checkouts share the cache, and each change of the launcher makes another image.
_KEEP = 4


def folder() -> Path:
    made = cache.folder() / "images"
    made.mkdir(parents=True, exist_ok=True)
    return made


def locked(name: str) -> AbstractContextManager[None]:
    """Of several processes at once, one goes on with what has this name; the others wait."""
    return cache.locked(folder() / f".{name}.lock")


def drop_others(kind: str, *, keep: Path) -> None:
    """Remove files of this kind but the few that were used last."""
    found = sorted(folder().glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    for old in found[:-_KEEP]:
        if old != keep:
            old.unlink(missing_ok=True)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
