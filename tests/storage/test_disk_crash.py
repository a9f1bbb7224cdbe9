"""Pets whose making is cut short, at each step and at any moment, or done by many at once."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.disk import pet
from launcher.disk.place import Place
from launcher.image.base import Base
from tests.storage.pets import COMPLETE, MIB, names, start, stored
from tests.storage.qcow2 import check, holds

ROOT = Path(__file__).parents[2]


@pytest.fixture
def base(tmp_path: Path) -> Base:
    (tmp_path / "shared").mkdir()
    return stored(tmp_path / "shared")


CHILD = """
import os, signal, sys
from pathlib import Path
from launcher.image.base import Base
from tests.storage.pets import start
volume, path, digest, size, virtual_size, last = sys.argv[1:]
base = Base(Path(path), digest, int(size), int(virtual_size), "https://example.org/base.qcow2")
steps = 0
def die(event, args):
    global steps
    where = (os.fspath(each) for each in args if isinstance(each, str | os.PathLike))
    if event == "subprocess.Popen" or any(each.startswith(volume) for each in where):
        steps += 1
        if steps == int(last):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
start(Path(volume), base, "100M")
"""


def start_and_die(volume: Path, base: Base, step: int) -> int:
    """Start in a process that dies just before its nth step on the volume; its exit status."""
    facts = (volume, base.path, base.digest, base.size, base.virtual_size, step)
    argv = [sys.executable, "-c", CHILD, *map(str, facts)]
    return subprocess.run(argv, cwd=ROOT, timeout=30).returncode


def test_crash_at_any_step_leaves_no_pet_or_a_good_one(tmp_path: Path, base: Base) -> None:
    seen: set[tuple[str, ...]] = set()
    for step in range(1, 100):
        volume = tmp_path / f"pet{step}"
        volume.mkdir()
        status = start_and_die(volume, base, step)
        left = tuple(names(volume))
        record = pet.find(Place(volume, "web-3")).record
        after = start(volume, base, "100M")
        assert after.virtual_size == 100 * MIB
        assert record in (None, after.record), "the VM became another one"
        assert [each for each in names(volume) if each != "web-3.json.new"] == COMPLETE
        assert holds(after.path, 7, "1M", "1M")
        check(after.path)
        seen.add(left)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert seen == {
        (),
        ("web-3.qcow2.new",),
        ("web-3.json.new", "web-3.qcow2.new"),
        ("web-3.json", "web-3.qcow2.new"),
        ("web-3.json", "web-3.qcow2"),
    }


def test_many_starts_at_once_make_one_pet(tmp_path: Path, base: Base) -> None:
    volume = tmp_path / "pet"
    volume.mkdir()
    facts = (volume, base.path, base.digest, base.size, base.virtual_size, 0)
    argv = [sys.executable, "-c", CHILD, *map(str, facts)]
    children = [
        subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(6)
    ]
    ends = [(child.communicate(timeout=60)[1], child.returncode) for child in children]
    assert 0 in [status for _, status in ends]
    for words, status in ends:
        assert status == 0 or "Busy" in words, words
    assert names(volume) == COMPLETE
    check(start(volume, base, "100M").path)


ROUNDS = 25

KILLED = """
import sys
from pathlib import Path
from launcher.image.base import Base
from tests.storage.pets import start
volume, path, digest, size, virtual_size = sys.argv[1:]
base = Base(Path(path), digest, int(size), int(virtual_size), "https://example.org/base.qcow2")
print("ready", flush=True)
start(Path(volume), base, "100M")
"""


def start_and_be_killed(volume: Path, base: Base, after: float) -> bool:
    """Start in processes of which none is left after that many seconds, as when a container is
    killed. Whether it had to be."""
    facts = (volume, base.path, base.digest, base.size, base.virtual_size)
    argv = [sys.executable, "-c", KILLED, *map(str, facts)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        with suppress(subprocess.TimeoutExpired):
            child.wait(after)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        return child.wait() == -signal.SIGKILL


def test_a_kill_at_any_moment_leaves_no_pet_or_a_good_one(tmp_path: Path, base: Base) -> None:
    """Several in a row on one volume, so that one finds what the other left; also inside qemu-img,
    where no step of ours is."""
    (tmp_path / "whole").mkdir()
    begun = time.monotonic()
    start(tmp_path / "whole", base, "100M")
    whole = time.monotonic() - begun
    chance = random.Random()
    killed = 0
    for each in range(ROUNDS):
        volume = tmp_path / f"pet{each}"
        volume.mkdir()
        place, uuid = Place(volume, "web-3"), None
        for _ in range(3):
            killed += start_and_be_killed(volume, base, chance.uniform(0, 1.2 * whole))
            record = pet.find(place).record
            assert uuid in (None, record and record.uuid), "the VM became another one"
            uuid = record and record.uuid
        after = start(volume, base, "100M")
        assert uuid in (None, after.record.uuid), "the VM became another one"
        assert [each for each in names(volume) if each != "web-3.json.new"] == COMPLETE
        assert after.virtual_size == 100 * MIB
        assert holds(after.path, 7, "1M", "1M")
        check(after.path)
    assert killed > ROUNDS / 5
