"""A pet on a volume of its own and bases on a shared one, for tests of what is done to a pet.

Run as a program it is a launcher that dies, with the arguments STEP ACTION FOLDER COMMON.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from launcher.disk import former, whole
from launcher.disk import record as records
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.request import Rebase
from launcher.disk.snapshot import offline
from launcher.host.container import Container
from launcher.image import fetch
from launcher.image.base import Base
from launcher.image.store import bases
from launcher.image.store.record import Address
from launcher.life import needed, pending
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings
from tests.storage.qcow2 import run, write
from tests.storage.starting import start

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
NAME = "web-3"


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
        return start(self.settings(image, **environ))

    def to(self, image: str) -> Rebase:
        return Rebase(self.base(image).digest, Address(f"/{image}.qcow2"))

    def move(self, image: str) -> None:
        settings, asked = self.settings(image), self.to(image)
        record = whole.look(self.place, settings.shared_dir).record
        with needed.second(settings, record, self.base(image)):
            pending.move(settings, self.place, asked, None)

    def undo(self) -> None:
        record = records.load(self.place)
        kept = record.former if record else None
        base = bases.load(self.settings().shared_dir, kept.base_digest) if kept else None
        former.undo(self.place, base)

    def confirm(self) -> None:
        former.confirm(self.place)
        needed.let_go(self.settings())

    def again(self, folder: Path) -> "Volumes":
        """The same pet on a volume of its own."""
        folder.mkdir()
        run("cp", "-a", "--sparse=always", self.place.folder, folder / "pet")
        return Volumes(folder, self.common)

    def names(self) -> list[str]:
        return sorted(each.name for each in self.place.folder.iterdir() if each != self.place.lock)


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
    "confirm": lambda made: made.confirm(),
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
