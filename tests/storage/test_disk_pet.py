"""Pets made by real qemu-img on real file systems, and what a crash or a full disk leaves."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.disk import holder, pet
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.plan import PetPlan, plan
from launcher.host import process
from launcher.host.container import Container
from launcher.host.errors import Busy, ImageRefused, RightMissing, StorageError
from launcher.image.base import Base
from launcher.settings.load import Surroundings, load

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def base(tmp_path: Path) -> Base:
    (tmp_path / "shared").mkdir()
    return stored(tmp_path / "shared")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "pet").mkdir()
    return tmp_path / "pet"


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


def test_new_pet(volume: Path, base: Base) -> None:
    made = start(volume, base, "100M")
    assert names(volume) == COMPLETE
    found = info(made.path)
    assert found["virtual-size"] == made.virtual_size == 100 * MIB
    assert found["full-backing-filename"] == str(base.path)
    assert found["backing-filename-format"] == "qcow2"
    assert found["cluster-size"] == 128 * 1024
    assert found["format-specific"]["data"]["extended-l2"] is True
    assert found["actual-size"] < MIB
    holds(made.path, 7, "1M", "1M")
    check(made.path)


def test_size_of_the_base_is_the_default(volume: Path, base: Base) -> None:
    assert start(volume, base).virtual_size == base.virtual_size


def test_next_start_runs_no_program(
    volume: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = start(volume, base, "100M")
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("a program was run"))
    assert start(volume, base, "100M") == made
    assert start(volume, base) == made


def test_odd_size_is_the_same_at_the_next_start(volume: Path, base: Base) -> None:
    odd = str(100 * MIB + 1)
    made = start(volume, base, odd)
    assert info(made.path)["virtual-size"] == 100 * MIB + 512
    assert start(volume, base, odd) == made


def test_pet_grows_and_keeps_what_was_written(volume: Path, base: Base) -> None:
    made = start(volume, base)
    run("qemu-io", "-f", "qcow2", "-c", "write -P 9 8M 1M", made.path)
    grown = start(volume, base, "200M")
    assert (grown.record, grown.path) == (made.record, made.path)
    assert info(grown.path)["virtual-size"] == grown.virtual_size == 200 * MIB
    holds(grown.path, 9, "8M", "1M")
    holds(grown.path, 7, "1M", "1M")
    holds(grown.path, 0, "199M", "1M")
    check(grown.path)


@pytest.fixture
def held(volume: Path, base: Base) -> Iterator[Pet]:
    """A pet that another process has open, as a running VM has."""
    made = start(volume, base)
    argv = ["qemu-io", "-f", "qcow2", str(made.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        # The prompt comes once the image is open.
        assert holder.stdout.read(len("qemu-io>")) == b"qemu-io>"
        yield made
        holder.stdin.close()


@pytest.mark.parametrize("size", ["", "200M"], ids=["as it is", "to be grown"])
def test_pet_in_use_is_busy_and_its_holder_named(
    held: Pet, volume: Path, base: Base, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU's own tool has it open; it locks what we look at."""
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("a program was run"))
    with pytest.raises(Busy, match=r"has not written down who it is: .* is locked"):
        start(volume, base, size)
    ours = holder.ourselves("10.1.2.3", "default", "n1", "uid")
    with (
        holder.held(Place(volume, "web-3"), ours),
        pytest.raises(Busy, match=r"the pet web-3 is in use by .* on the node n1\) since 20"),
    ):
        start(volume, base, size)


def test_a_pet_that_is_taken_at_the_last_moment_is_not_grown(
    held: Pet, volume: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "refuse_second", lambda _: None)
    ours = holder.ourselves("10.1.2.3", "", "", "")
    with (
        holder.held(Place(volume, "web-3"), ours),
        pytest.raises(Busy, match=r"in use by .*\(10.1.2.3, on this machine\) since 20"),
    ):
        start(volume, base, "200M")


def test_who_only_looks_at_it_is_not_in_the_way(volume: Path, base: Base) -> None:
    made = start(volume, base)
    argv = ["qemu-io", "-r", "-U", "-f", "qcow2", str(made.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin
        assert reader.stdout
        assert reader.stdout.read(len("qemu-io>")) == b"qemu-io>"
        assert start(volume, base) == made
        reader.stdin.close()


def test_replaced_base_is_refused_by_its_digest(volume: Path, base: Base) -> None:
    start(volume, base)
    other = Base(base.path, "00" * 32, base.size, base.virtual_size, base.source)
    with pytest.raises(ImageRefused, match=base.digest):
        start(volume, other)
    assert names(volume) == COMPLETE


def test_cut_short_leftover_is_made_anew(volume: Path, base: Base) -> None:
    (volume / "web-3.qcow2.new").write_bytes(b"QFI\xfb")
    check(start(volume, base).path)
    assert names(volume) == COMPLETE


def test_leftover_is_not_written_through(volume: Path, base: Base) -> None:
    (volume / "web-3.qcow2.new").symlink_to(base.path)
    check(start(volume, base).path)
    holds(base.path, 7, "1M", "1M")
    assert base.path.stat().st_size == base.size


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A volume without the space that even an empty overlay takes."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=256k", "berth-test", folder)
    try:
        yield folder
    finally:
        run("umount", folder)


def test_full_volume_leaves_nothing_and_is_told_with_sizes(small: Path, base: Base) -> None:
    with pytest.raises(
        StorageError, match=r"too little space in .*/small: .* of 256 KiB are free"
    ) as error:
        start(small, base)
    assert error.value.exit_code == os.EX_IOERR
    assert names(small) == []
    run("mount", "-o", "remount,size=8m", small)
    check(start(small, base).path)


def test_read_only_volume(small: Path, base: Base) -> None:
    run("mount", "-o", "remount,ro", small)
    with pytest.raises(RightMissing, match="PET_DIR=") as error:
        start(small, base)
    assert error.value.exit_code == os.EX_NOPERM


CHILD = """
import os, signal, sys
from pathlib import Path
from launcher.image.base import Base
from tests.storage.test_disk_pet import start
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
        holds(after.path, 7, "1M", "1M")
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


def test_many_starts_at_once_make_one_pet(volume: Path, base: Base) -> None:
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
