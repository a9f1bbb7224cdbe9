"""Which image the settings ask for, and under which name it is known on the shared volume."""

import re
from pathlib import Path
from typing import NamedTuple

from launcher.image.source.terms import USUAL, Terms
from launcher.settings.parse import Checksum
from launcher.settings.source import is_path, redact
from launcher.settings.table import Settings

STORED = re.compile(r"sha256-([0-9a-f]{64})\.qcow2")


class Wanted(NamedTuple):
    """`source`: a URL or a full path, None where only the name was given; `setting`: what said so.

    `name`: what IMG_TARGET calls the base in `folder`, the shared volume. `max_size`: bytes of the
    largest disk that is accepted. `terms`: how a server is asked.
    """

    source: str | None
    setting: str
    folder: Path
    name: str
    checksum: Checksum | None
    max_size: int
    terms: Terms = USUAL

    @property
    def shown(self) -> str:
        """`IMG_SOURCE=https://…`, without anything secret."""
        return f"{self.setting}={redact(self.source or '')}"


def wanted(settings: Settings) -> Wanted:
    """Read the settings together; looks at the shared volume for a file that has the name.

    A full path as IMG_TARGET is itself the source, as the first Berth took it. So is a file of
    that name on the shared volume that Berth did not put there. It stays as it is and keeps its
    name; the base made of it then is named `<name>.base`.
    """
    source, setting, name = settings.img_source, "IMG_SOURCE", settings.img_target
    if is_path(name):
        source, setting = (source, setting) if source else (name, "IMG_TARGET")
        name = Path(name).name
    place = settings.shared_dir / name
    if source is None and is_foreign(place):
        source, setting = str(place), "IMG_TARGET"
    if source is not None and Path(source) == place:
        name += ".base"
    return Wanted(
        source,
        setting,
        settings.shared_dir,
        name,
        settings.img_checksum,
        settings.img_max_size,
        Terms.of(settings),
    )


def is_foreign(place: Path) -> bool:
    """Whether there is something at `place` that is not a base's name of ours."""
    if STORED.fullmatch(place.name):
        return False
    if place.is_symlink():
        try:
            return STORED.fullmatch(str(place.readlink())) is None
        except FileNotFoundError:
            return False  # `berth images prune` has removed it meanwhile
    return place.exists()
