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


def write(path: Path, text: str) -> None:
    """Have `text` in the file at `path`, all of it or none, also after a power cut. That the name
    lasts is for the caller to see to.

    :raise OSError:
    """
    import os

    with file(path.parent, path.name) as part:
        with part.open("w", encoding="utf-8") as writing:
            writing.write(text)
            writing.flush()
            os.fsync(writing.fileno())
        part.replace(path)


@contextmanager
def hidden(folder: Path, name: str) -> Iterator[Path]:
    """An empty file that anybody could write to, and nobody but those we tell its name can find.

    It lies in a folder `<name>.<random>.part`, which only we may list; both are removed at the end.
    For what the user that qemu-img runs as has to write, when other programs of that user reach the
    same volume: the QEMUs of other pods, say.
    """
    import secrets
    import tempfile

    place = Path(tempfile.mkdtemp(prefix=f"{name[:200]}.", suffix=".part", dir=folder))
    path = place / secrets.token_hex(16)
    try:
        place.chmod(0o711)
        path.touch(0o600, exist_ok=False)
        path.chmod(0o666)
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            place.rmdir()
