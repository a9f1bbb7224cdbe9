"""Files under way: unique, private, on the volume they will stay on, and gone when not wanted."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def file(folder: Path, name: str) -> Iterator[Path]:
    """An empty file `<name>.<random>.part` in `folder`, removed at the end if still there.

    Everybody may read it. What becomes of it, a base, is no secret either; and the user that
    qemu-img runs as has to, also where files cannot be given away (NFS with root_squash).
    Only an orderly end removes it; one that a killed process left is never looked at again.
    """
    import os
    import tempfile

    # File names end at 255 bytes; the random part must not push a long name over that.
    fd, path = tempfile.mkstemp(prefix=f"{name[:200]}.", suffix=".part", dir=folder)
    try:
        os.fchmod(fd, 0o644)
        os.close(fd)
        yield Path(path)
    finally:
        with suppress(OSError):
            Path(path).unlink()
