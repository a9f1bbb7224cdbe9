"""A pet on a volume of its own and bases on a shared one, for tests of what is done to a pet.

Run as a program it is a launcher that dies, with the arguments STEP ACTION FOLDER COMMON.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.disk import pet, rebase, request, whole
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.plan import plan
from launcher.disk.request import Rebase
from launcher.disk.snapshot import offline
from launcher.host.container import Container
from launcher.image import fetch
from launcher.image.base import Base
from launcher.image.store import bases
from launcher.image.store.record import Address
from launcher.life import pending
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
NAME = "web-3"


def run(*argv: str | Path) -> str:
    words = [str(word) for word in argv]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def info(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("qemu-img", "info", "--output=json", path))
    return found


def check(path: Path) -> None:
    """Raises when qemu-img finds anything wrong with the image, be it lost clusters."""
    run("qemu-img", "check", "-f", "qcow2", path)


def write(path: Path, pattern: int, offset: str, length: str = "1M") -> None:
    run("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {offset} {length}", path)


def holds(path: Path, pattern: int, offset: str, length: str = "1M") -> bool:
    words = f"read -P {pattern} {offset} {length}"
    argv = ["qemu-io", "-r", "-f", "qcow2", "-c", words, str(path)]
    said = subprocess.run(argv, capture_output=True, text=True)
    return said.returncode == 0 and "verification failed" not in said.stdout


def content(path: Path) -> str:
    """sha256 of what a guest would read from the disk at `path`."""
    raw = path.with_name("content.raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


@dataclass(frozen=True)
class Volumes:
    """The pet's volume is in `folder`; the shared one, and images to make bases of, in `common`."""

    folder: Path
    common: Path

    @property
    def place(self) -> Place:
        return Place(self.folder / "pet", NAME)

    @property
    def disk(self) -> Path:
        return self.place.disk

    def image(self, name: str, size: str = "64M", **patterns: int) -> Path:
        """An image with a MiB of each pattern at its offset: `at1M=7`."""
        path = self.common / f"{name}.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", path, size)
        for offset, pattern in patterns.items():
            write(path, pattern, offset.removeprefix("at"))
        return path

    def settings(self, image: str = "one", **environ: str) -> Settings:
        given = {
            "IMG_SOURCE": str(self.common / f"{image}.qcow2"),
            "SHARED_DIR": str(self.common / "shared"),
            "PET_DIR": str(self.folder / "pet"),
            "RUN_DIR": str(self.folder / "run"),
            "QEMU_USER": "",
        }
        return load({**given, **environ}, Surroundings(Container(hostname=NAME)))

    def base(self, image: str) -> Base:
        return fetch.ensure(self.settings(image))

    def start(self, image: str = "one", **environ: str) -> Pet:
        """What each start of the VM does about its pet."""
        settings = self.settings(image, **environ)
        found, asked = pet.find(self.place), request.load(self.place)
        if asked:
            pending.carry_out(settings, asked, None)
            found = pet.find(self.place)
        if found.record:
            base = bases.load(settings.shared_dir, found.record.base_digest)
        else:
            base = fetch.ensure(settings)
        return pet.apply(plan(settings, found, base))

    def to(self, image: str) -> Rebase:
        return Rebase(self.base(image).digest, Address(f"/{image}.qcow2"))

    def move(self, image: str) -> None:
        pending.move(self.settings(image), self.place, self.to(image), None)

    def undo(self) -> None:
        record = whole.look(self.place, self.settings().shared_dir).record
        former = record.former
        base = bases.load(self.settings().shared_dir, former.base_digest) if former else None
        rebase.undo(self.place, base)

    def again(self, folder: Path) -> "Volumes":
        """The same pet on a volume of its own."""
        folder.mkdir()
        shutil.copytree(self.place.folder, folder / "pet")
        return Volumes(folder, self.common)

    def names(self) -> list[str]:
        return sorted(each.name for each in self.place.folder.iterdir())


def volumes(folder: Path) -> Volumes:
    """With a pet on the image "one", which has a pattern at 1M; the pet has one at 8M."""
    for name in ("shared", "pet"):
        (folder / name).mkdir(parents=True)
    made = Volumes(folder, folder)
    made.image("one", at1M=7)
    made.start(VM_DISK_SIZE="100M")
    write(made.disk, 9, "8M")
    return made


ACTIONS: dict[str, Callable[[Volumes], object]] = {
    "start": lambda made: made.start(),
    "move": lambda made: made.move("two"),
    "undo": lambda made: made.undo(),
    "confirm": lambda made: rebase.confirm(made.place),
    "create": lambda made: offline.create(made.place, "late", "", None),
}


def die_at(step: int, action: str, made: Volumes) -> int:
    """Do it in a process that dies just before its nth step on the pet's volume; its status."""
    argv = [sys.executable, "-m", "tests.storage.pet_volumes", str(step), action]
    argv += [str(made.folder), str(made.common)]
    done = subprocess.run(argv, cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def main(last: int, action: str, made: Volumes) -> None:
    steps = 0
    watched = str(made.place.folder)

    def die(event: str, args: tuple[object, ...]) -> None:
        nonlocal steps
        where = [os.fspath(each) for each in args if isinstance(each, str | os.PathLike)]
        writes = event in ("open", "os.rename", "os.remove", "os.link", "subprocess.Popen")
        if writes and (event == "subprocess.Popen" or any(watched in str(each) for each in where)):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    ACTIONS[action](made)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Volumes(*map(Path, sys.argv[3:])))
