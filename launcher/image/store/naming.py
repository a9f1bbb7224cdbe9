"""Names on the shared volume: those of bases and their records, and people's names for them."""

from pathlib import Path

from launcher.host.durable import sync_names
from launcher.host.errors import ImageRefused
from launcher.image import temporary
from launcher.image.wanted import STORED, Wanted


def base_path(folder: Path, digest: str) -> Path:
    """Where the base whose sha256 is `digest` is."""
    return folder / f"sha256-{digest}.qcow2"


def record_path(folder: Path, digest: str) -> Path:
    """Where its record is."""
    return folder / f"sha256-{digest}.json"


def named(place: Path) -> str | None:
    """The digest of the base that `place` names."""
    try:
        name = str(place.readlink())
    except FileNotFoundError:
        return None
    except OSError:  # no link, but maybe a base itself
        name = place.name
    match = STORED.fullmatch(name)
    return match[1] if match else None


def check(want: Wanted, digest: str) -> None:
    """Refuse IMG_TARGET where it is another base's own name.

    :raise ImageRefused:
    """
    stored = STORED.fullmatch(want.name)
    if stored and stored[1] != digest:
        raise ImageRefused(
            f"IMG_TARGET={want.name!r} is the name of one base, and the image is another, sha256 "
            f"{digest}",
            hint="any other name will do, or none",
        )


def give(folder: Path, name: str, digest: str) -> None:
    """Make `name` a link to the base, replacing an older link in one step, and make it last."""
    target = base_path(folder, digest).name
    place = folder / name
    if name != target and named(place) != digest:
        with temporary.file(folder, name) as part:
            part.unlink()
            part.symlink_to(target)
            part.replace(place)
    sync_names(folder)


def rename(old: Path, new: Path) -> bool:
    """Give a file another name, unless something has that. What it replaces is an empty file that
    holds the name meanwhile: the same bytes with another time of change would be refused."""
    try:
        new.touch(0o644, exist_ok=False)
    except FileExistsError:
        return False
    try:
        old.rename(new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    return True
