"""Pets whose making is cut short, at each step and at any moment, or done by many at once."""

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from launcher.disk import overlay, pet
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.host.errors import Busy
from launcher.image.base import Base
from tests.storage.pets import COMPLETE, MIB, decide, names, start, stored
from tests.storage.qcow2 import check, check_but_for_leaks, holds, killed_at, run, write

ROOT = Path(__file__).parents[2]
GIB = 1 << 30


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
        ("web-3.json", "web-3.json.new", "web-3.qcow2.new"),
        ("web-3.json", "web-3.qcow2.new"),
        ("web-3.json", "web-3.qcow2"),
    }


def test_qemu_img_killed_between_its_writes_leaves_a_disk_that_can_grow(
    tmp_path: Path, base: Base
) -> None:
    """Where the whole container is killed, its qemu-img is too."""
    volume = tmp_path / "pet"
    volume.mkdir()
    write(start(volume, base, "100M").path, 9, "8M")
    for nth in range(1, 60):
        copy = tmp_path / f"kill{nth}"
        run("cp", "-a", "--sparse=always", volume, copy)
        place = Place(copy, "web-3")
        status = killed_at(nth, overlay.grow_argv(place, GIB, preallocate=True))
        # Nothing that the guest would read is another one.
        assert holds(place.disk, 9, "8M"), nth
        assert start(copy, base, str(GIB)).virtual_size == GIB
        assert holds(place.disk, 9, "8M"), nth
        assert holds(place.disk, 0, "100M", "100M"), nth
        check_but_for_leaks(place.disk)
        if status == 0:
            assert nth > 3
            return
    pytest.fail("it never came to its end")


def test_two_without_a_common_lock_make_one_pet(
    tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the one makes its disk, the other does all of it, and may have a VM running by then."""
    volume = tmp_path / "pet"
    volume.mkdir()
    decided = decide(volume, base, "100M")
    made: list[Pet] = []

    def slow(*given: Any, **how: Any) -> list[str]:
        monkeypatch.undo()
        monkeypatch.setattr(pet, "alone", lambda _: nullcontext())
        made.append(start(volume, base, "100M"))
        return overlay.create_argv(*given, **how)

    monkeypatch.setattr(pet, "alone", lambda _: nullcontext())
    monkeypatch.setattr(overlay, "create_argv", slow)
    with pytest.raises(Busy, match="somebody else has made the pet web-3 meanwhile"):
        pet.apply(decided)
    (first,) = made
    assert names(volume) == [*COMPLETE, "web-3.qcow2.new"]
    running = first.path.stat().st_ino
    assert start(volume, base, "100M") == first
    assert first.path.stat().st_ino == running


def is_waited_for(fd: int) -> bool:
    """Whether somebody waits for a lock on the file: in proc_locks(5) the line has an arrow."""
    waiting = [line for line in Path("/proc/locks").read_text().splitlines() if " -> " in line]
    return any(f":{os.fstat(fd).st_ino} " in line for line in waiting)


def test_the_lock_is_one_that_other_nodes_see(tmp_path: Path, base: Base) -> None:
    """A lock of the kind that NFS takes to its server, on a file, is waited for."""
    volume = tmp_path / "pet"
    volume.mkdir()
    with Place(volume, "web-3").lock.open("wb") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        with ThreadPoolExecutor() as threads:
            starting = threads.submit(start, volume, base, "100M")
            try:
                deadline = time.monotonic() + 10
                while not is_waited_for(lock.fileno()):
                    assert time.monotonic() < deadline
                    assert not starting.done()
                assert names(volume) == []
            finally:
                fcntl.lockf(lock, fcntl.LOCK_UN)
            assert starting.result(60).path.exists()


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
