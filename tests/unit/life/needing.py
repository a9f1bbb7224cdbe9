"""A pod that is about to need a base."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from launcher.disk.place import Place
from launcher.disk.plan import Found, PetPlan
from launcher.disk.record import PetRecord
from launcher.image.base import Base
from launcher.image.store import references
from launcher.image.store.record import Address
from launcher.life.needed import Need
from launcher.settings.table import Settings
from tests.unit.image.conftest import URL, Volume

DIGEST = hashlib.sha256(b"an image").hexdigest()
UUID = "6b1e8d1c-2f5e-4b8e-9d55-5b8f0a5b7f11"


@dataclass
class Pod:
    """A pod that starts, with a shared volume and a pet's."""

    volume: Volume
    folder: Path
    fetches: int = 0
    starts: list[Base] = field(default_factory=list)

    def fetch(self) -> Base:
        self.fetches += 1
        return self.volume.adopt()

    def plan(self, base: Base | None = None, *, kept: bool = False) -> PetPlan:
        place = Place(self.folder, "web-0")
        path = self.volume.path / f"sha256-{DIGEST}.qcow2"
        source = Address(URL)
        record = PetRecord("web-0", UUID, "06:fe:00:00:00:00", DIGEST, path, 8, source, "then")
        found = Found(record if kept else None)
        return PetPlan(
            place, found, "create", UUID, record.mac, base, None, None, source, notices=()
        )

    def need(self, plan: PetPlan) -> Need:
        return Need(self.volume.path, plan, "shop")

    def secure(self, plan: PetPlan) -> None:
        with self.need(plan).secured(self.fetch) as base:
            assert base.path.exists()
            self.starts.append(base)
            plan.place.record.touch()

    def move(self) -> tuple[Base, Settings, PetRecord]:
        """A base, and a pet that is to be moved to it from another one."""
        base, record = self.volume.adopt(), self.plan(kept=True).found.record
        assert record
        settings = {"PET_DIR": str(self.folder), "VM_NAME": "web-0", "POD_NAMESPACE": "shop"}
        return base, self.volume.settings(**settings), record._replace(base_digest="1" * 64)

    def references(self) -> list[str]:
        return [each.uuid for each in references.read(self.volume.path, DIGEST)]


def made(folder: Path) -> Pod:
    """One with empty volumes in `folder`."""
    for name in ("shared", "pet"):
        (folder / name).mkdir()
    return Pod(Volume(folder / "shared"), folder / "pet")
