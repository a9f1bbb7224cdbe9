"""Pets made as each start makes them, and qemu-img's word on what came of it."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from launcher.disk import pet
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.plan import PetPlan, plan
from launcher.host.container import Container
from launcher.image.base import Base
from launcher.settings.load import Surroundings, load

MIB = 1 << 20


def run(*argv: str | Path) -> str:
    words = [str(word) for word in argv]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def info(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("qemu-img", "info", "--output=json", path))
    return found


def check(path: Path) -> None:
    """Raises when qemu-img finds anything wrong with the image."""
    run("qemu-img", "check", "-f", "qcow2", path)


def holds(path: Path, pattern: int, offset: str, length: str) -> None:
    """Raises unless the disk holds `pattern` there."""
    said = run("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {offset} {length}", path)
    assert "verification failed" not in said


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
    return sorted(each.name for each in volume.iterdir())


COMPLETE = ["web-3.json", "web-3.qcow2"]
