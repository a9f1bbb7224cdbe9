"""Settings and fetched files for the store, on a temporary folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.host.container import Container
from launcher.image import temporary
from launcher.image.base import Base
from launcher.image.store import adoption
from launcher.image.store.record import Address, Origin
from launcher.image.wanted import wanted
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings

URL = "https://example.org/disk.qcow2"


@dataclass(frozen=True, slots=True)
class Volume:
    """A shared volume without anything to fetch from."""

    path: Path

    def settings(self, **environ: str) -> Settings:
        """Settings with this volume; IMG_SOURCE is `URL` unless something else names an image."""
        given = {"SHARED_DIR": str(self.path), **environ}
        if not any(name.startswith("IMG_") for name in environ):
            given["IMG_SOURCE"] = URL
        return load(given, Surroundings(Container(hostname="pet-0")))

    def adopt(self, content: bytes = b"an image", /, **environ: str) -> Base:
        """Put `content` in place as if it had just been fetched and proved."""
        want = wanted(self.settings(**environ))
        digest = hashlib.sha256(content).hexdigest()
        origin = Origin(
            address=Address.of(want.source or ""),
            digests={"sha256": digest},
            sums=None,
            fetched="2026-11-20T20:00:00Z",
        )
        with temporary.file(want.folder, want.name) as part:
            part.write_bytes(content)
            return adoption.adopt(part, want, digest=digest, virtual_size=1 << 30, origin=origin)

    def names(self) -> list[str]:
        return sorted(each.name for each in self.path.iterdir())


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    path = tmp_path / "shared"
    path.mkdir()
    return Volume(path)
