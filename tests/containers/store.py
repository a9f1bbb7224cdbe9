"""Finished files in the cache: made once whoever asks, whole whenever they are there."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.guests.cache import folder as cache_folder

# Other checkouts share the cache, and each change of the launcher makes another image.
_KEEP = 4


def folder() -> Path:
    made = cache_folder() / "images"
    made.mkdir(parents=True, exist_ok=True)
    return made


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Of several processes at once, one goes on and the others wait for it."""
    # The file stays: unlinking it would let two hold locks on two files of one name.
    with (folder() / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(target: Path, build: Callable[[Path], Path]) -> None:
    """Put what `build` makes, in an empty folder that it gets, at `target`; needs the lock.

    Whatever it raises is passed on and leaves nothing.
    """
    # Whoever holds the lock is the only one: folders found now belong to those who died.
    for dead in target.parent.glob(f".{target.name}.build-*"):
        shutil.rmtree(dead)
    print(f"building {target.name} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.build-") as work:
        built = build(Path(work))
        with built.open("rb") as file:
            os.fsync(file.fileno())
        size = built.stat().st_size
        built.replace(target)
    took = time.monotonic() - started
    print(f"built {target} ({size / 1e6:.0f} MB) in {took:.1f} s", file=sys.stderr, flush=True)


def drop_others(kind: str, *, keep: Path) -> None:
    """Remove files of this kind but the few that were used last."""
    found = sorted(folder().glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime)
    for old in found[:-_KEEP]:
        if old != keep:
            old.unlink(missing_ok=True)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
