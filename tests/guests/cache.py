"""Where finished guests are kept, and how one is built exactly once.

An image's name carries a hash over its recipe: change any file that makes the guest and the next
run builds another image, beside the old one. Builders work in a folder of their own and move the
finished image into place, so that a name in the cache is always a whole image.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Other checkouts may share the cache and still use an image that this one no longer knows.
_KEEP_UNUSED_SECONDS = 14 * 24 * 3600


def folder() -> Path:
    """``$BERTH_CACHE``, or ``berth`` in the user's cache folder (XDG Base Directory rules)."""
    if chosen := os.environ.get("BERTH_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "berth"


def fingerprint(recipe: Iterable[Path]) -> str:
    """Hash of the names, modes and contents of the files that make a guest, as 16 hex digits.

    Directories stand for every file below them.
    """
    digest = hashlib.sha256()
    for given in recipe:
        root = given.parent
        for path in sorted(p for p in [given, *given.rglob("*")] if p.is_file()):
            executable = os.access(path, os.X_OK)
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(root)}\0{executable:d}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def image(name: str, recipe: Iterable[Path], build: Callable[[Path], Path]) -> Path:
    """Path of the qcow2 that ``recipe`` describes, built by ``build`` when it is not there yet.

    ``build`` gets an empty folder to work in and returns the finished image inside it. Whatever
    it raises is passed on and leaves nothing in the cache. Of several callers at once, in threads
    or processes, one builds and the others wait for it.
    """
    guests = folder() / "guests"
    key = f"{name}-{fingerprint(recipe)}"
    target = guests / f"{key}.qcow2"
    if not target.exists():
        guests.mkdir(parents=True, exist_ok=True)
        with locked(guests / f".{key}.lock"):
            if not target.exists():
                make(target, lambda work: _read_only(build(work)))
                _drop_unused(guests, name, keep=target)
    with suppress(PermissionError):  # a cache that somebody else filled
        os.utime(target)
    return target


def make(target: Path, build: Callable[[Path], Path]) -> None:
    """Put what ``build`` makes, in an empty folder that it gets, at ``target``; needs the lock.

    Whatever it raises is passed on and leaves nothing.
    """
    prefix = f".{target.stem}.build-"
    # Whoever holds the lock is the only builder: folders found now belong to builders that died.
    for dead in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(dead)
    print(f"building {target.stem} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as work:
        built = build(Path(work))
        with built.open("rb") as file:
            os.fsync(file.fileno())
        size = built.stat().st_size
        built.replace(target)
    took = time.monotonic() - started
    print(f"built {target} ({size / 1e6:.1f} MB) in {took:.1f} s", file=sys.stderr, flush=True)


def _read_only(path: Path) -> Path:
    path.chmod(0o444)
    return path


def _drop_unused(guests: Path, name: str, *, keep: Path) -> None:
    oldest = time.time() - _KEEP_UNUSED_SECONDS
    for other in guests.glob(f"{name}-*.qcow2"):
        if other != keep and other.stat().st_mtime < oldest:
            other.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Of several processes at once, one goes on and the others wait for it."""
    # The file stays: unlinking it would let two builders hold locks on two files of one name.
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
