"""Pets made as each start makes them."""

import hashlib
from pathlib import Path

from launcher.disk import pet
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.plan import PetPlan, plan
from launcher.host.container import Container
from launcher.image.base import Base
from launcher.settings.load import Surroundings, load
from tests.storage.qcow2 import info, run

MIB = 1 << 20


def stored(folder: Path, virtual_size: str = "64M") -> Base:
    """A base as the image room would have stored it, with a pattern in its second MiB."""
    path = folder / "base"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, virtual_size)
    run("qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 1M", path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path = path.rename(folder / f"sha256-{digest}.qcow2")
    size, virtual = path.stat().st_size, info(path)["virtual-size"]
    return Base(path, digest, size, virtual, "https://example.org/base.qcow2")


def decide(volume: Path, base: Base, size: str = "") -> PetPlan:
    environ = {"IMG_SOURCE": base.source, "PET_DIR": str(volume), "VM_DISK_SIZE": size}
    settings = load(environ, Surroundings(Container(hostname="web-3")))
    return plan(settings, pet.find(Place(volume, "web-3")), base)


def start(volume: Path, base: Base, size: str = "") -> Pet:
    """What each start of the VM does about its pet."""
    return pet.apply(decide(volume, base, size))


def names(volume: Path) -> list[str]:
    """All but the lock, which tells nothing."""
    lock = Place(volume, "web-3").lock
    return sorted(each.name for each in volume.iterdir() if each != lock)


COMPLETE = ["web-3.json", "web-3.qcow2"]
