"""A base that somebody altered, with its size and its time of change put back."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from launcher.cli.commands import commands
from launcher.host.errors import ImageRefused
from launcher.image.base import Base
from launcher.image.store import bases, finding, references, verify
from launcher.image.store.references import Reference
from launcher.life import pending
from tests.storage.conftest import Images, Volume
from tests.storage.ensuring import PATIENCE
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.qcow2 import content

ROOT = Path(__file__).parents[2]
OTHER = b"other bytes"

STARTVM = """
import sys
from launcher.cli.startvm import run
from launcher.machine import qemu
qemu.BINARY = sys.argv[1]
sys.exit(run([]))
"""


def alter(base: Base, data: bytes = OTHER) -> bytes:
    """Write into the middle of a base and put its time of change back; what was there before."""
    then = base.path.stat().st_mtime_ns
    base.path.chmod(0o644)
    with base.path.open("r+b") as file:
        file.seek(base.size // 2)
        before = file.read(len(data))
        file.seek(base.size // 2)
        file.write(data)
    base.path.chmod(0o444)
    os.utime(base.path, ns=(then, then))
    return before


def berth(volume: Volume, *arguments: str) -> Result:
    environ = {"SHARED_DIR": str(volume.path)}
    return CliRunner().invoke(commands, ["images", *arguments], env=environ, catch_exceptions=False)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@dataclass(frozen=True)
class Machine:
    """Where startvm runs with a QEMU that does nothing but say that it was started."""

    folder: Path
    shared: Path

    @property
    def started(self) -> Path:
        return self.folder / "qemu-was-started"

    @property
    def state(self) -> str:
        try:
            return str(json.loads((self.folder / "run/state.json").read_text())["reason"])
        except FileNotFoundError:
            return ""

    def start(self, **settings: str) -> "subprocess.Popen[str]":
        self.started.unlink(missing_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", STARTVM, str(self.folder / "qemu")],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "SHARED_DIR": str(self.shared),
                "PET_DIR": str(self.folder / "pet"),
                "RUN_DIR": str(self.folder / "run"),
                "VM_NAME": "web-0",
                "NETWORK": "user",
                "ACCEL": "tcg",
                "NO_VNC": "yes",
                **settings,
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def ends(self, **settings: str) -> tuple[int, str]:
        """Exit code and log of a start."""
        with self.start(**settings) as process:
            try:
                _, log = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
        return process.returncode, log


def contents(machine: Machine) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in (machine.folder / "pet").iterdir()}


@pytest.fixture
def machine(volume: Volume, tmp_path: Path) -> Machine:
    made = Machine(tmp_path, volume.path)
    (tmp_path / "pet").mkdir()
    qemu = tmp_path / "qemu"
    qemu.write_text(f"#!/bin/sh\ntouch {made.started}\nexit 1\n")
    qemu.chmod(0o755)
    return made


@pytest.mark.parametrize("is_new", [False, True], ids=["its pet is there", "its pet is new"])
def test_a_start_that_compares_digests_refuses_it(
    volume: Volume, images: Images, machine: Machine, is_new: bool
) -> None:
    source = {"IMG_SOURCE": str(images.qcow2)}
    base = volume.ensure(images.qcow2)
    if not is_new:
        machine.ends(**source)
        assert machine.started.exists()
    pets = [each.pet for each in references.read(volume.path, base.digest)]
    assert bool(pets) != is_new
    alter(base)
    disks = contents(machine)

    status, log = machine.ends(IMG_VERIFY="full", **source)
    assert status == 65, log
    assert f"error: the base {base.path} is not what it was: its sha256 is " in log
    assert "(hint: `berth images` tells which pets stand on it" in log
    assert not machine.started.exists()
    assert contents(machine) == disks
    assert [each.pet for each in references.read(volume.path, base.digest)] == pets

    # Nobody need read it again.
    status, log = machine.ends(**source)
    assert status == 65, log
    assert f", as {os.uname().nodename} found at 20" in log
    assert not machine.started.exists()


def test_pods_that_find_it_at_the_same_moment(
    volume: Volume, images: Images, machine: Machine, tmp_path: Path
) -> None:
    base = volume.ensure(images.qcow2)
    alter(base)
    with ExitStack() as stack:
        pods = []
        for number in range(4):
            folder = tmp_path / f"pod-{number}"
            (folder / "pet").mkdir(parents=True)
            (folder / "qemu").symlink_to(machine.folder / "qemu")
            start = Machine(folder, volume.path).start
            pods.append(
                stack.enter_context(
                    start(IMG_SOURCE=str(images.qcow2), IMG_VERIFY="full", VM_NAME=f"web-{number}")
                )
            )
            stack.callback(pods[-1].kill)
        for pod in pods:
            _, log = pod.communicate(timeout=PATIENCE)
            assert pod.returncode == 65, log
            assert f"the base {base.path} is not what it was: its sha256 is " in log
    assert not machine.started.exists()
    assert volume.names() == sorted(
        ["disk.qcow2", *(f"sha256-{base.digest}.{each}" for each in ("altered", "json", "qcow2"))]
    )


def test_a_start_that_does_not_compare_digests_uses_it(
    volume: Volume, images: Images, machine: Machine
) -> None:
    alter(volume.ensure(images.qcow2))
    for settings in ({}, {"IMG_VERIFY": "quick"}):
        _, log = machine.ends(IMG_SOURCE=str(images.qcow2), **settings)
        assert machine.started.exists(), log


def test_a_start_that_compares_digests_of_a_base_that_is_sound(
    volume: Volume, images: Images, machine: Machine
) -> None:
    base = volume.ensure(images.qcow2)
    _, log = machine.ends(IMG_SOURCE=str(images.qcow2), IMG_VERIFY="full")
    assert f"comparing {base.path.name} with its digest, since IMG_VERIFY=full" in log
    assert machine.started.exists(), log
    assert volume.names() == sorted(
        ["disk.qcow2", *(f"sha256-{base.digest}.{each}" for each in ("json", "pets", "qcow2"))]
    )


def test_a_start_that_reads_a_large_base_tells_so_and_can_be_stopped(
    volume: Volume, images: Images, machine: Machine
) -> None:
    base = volume.ensure(images.qcow2)
    # Hours to read, and no space: what the record says is as large.
    then = base.path.stat().st_mtime_ns
    base.path.chmod(0o644)
    os.truncate(base.path, 1 << 42)
    os.utime(base.path, ns=(then, then))
    record = base.path.with_suffix(".json")
    record.write_text(record.read_text().replace(f'"size": {base.size}', f'"size": {1 << 42}'))
    with machine.start(IMG_SOURCE=str(images.qcow2), IMG_VERIFY="full") as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not re.fullmatch(r"read .* of 4\.0 TiB \(0 %\), .*/s, .* left", machine.state):
                assert process.poll() is None
                assert time.monotonic() < deadline, machine.state
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, log
    assert "told to stop before the VM was started" in log
    assert not machine.started.exists()
    assert references.read(volume.path, base.digest) == (), "no pet was made"


def test_what_verify_found_is_refused_until_it_finds_the_base_sound(
    volume: Volume, images: Images, machine: Machine
) -> None:
    base = volume.ensure(images.qcow2)
    before = alter(base)
    assert berth(volume, "--verify").exit_code == 65
    status, log = machine.ends(IMG_SOURCE=str(images.qcow2))
    assert status == 65, log
    assert f"the base {base.path} is not what it was: its sha256 is " in log
    assert "once it has its bytes again, `berth images --verify` lets it be used" in log
    assert not machine.started.exists()
    shown = berth(volume)
    assert f", as {os.uname().nodename} found at 20" in shown.stdout
    assert shown.exit_code == 0

    alter(base, before)
    assert machine.ends(IMG_SOURCE=str(images.qcow2))[0] == 65, "nobody has read it again"
    shown = berth(volume, "--verify")
    assert "NOT TO BE USED" not in shown.stdout
    assert shown.exit_code == 0
    machine.ends(IMG_SOURCE=str(images.qcow2))
    assert machine.started.exists()


def test_what_verify_found_is_not_fetched_over(
    volume: Volume, images: Images, tmp_path: Path
) -> None:
    """Neither from its own address nor from another one that leads to the same bytes."""
    base = volume.ensure(images.qcow2)
    references.write(volume.path, Reference(base.digest, "uuid", "web-0"))
    alter(base)
    altered = base.path.read_bytes()
    assert berth(volume, "--verify").exit_code == 65
    copy = tmp_path / "copy.qcow2"
    copy.write_bytes(images.qcow2.read_bytes())
    asked: list[tuple[Path, dict[str, str]]] = [
        (images.qcow2, {}),
        (copy, {}),
        (copy, {"IMG_CHECKSUM": f"sha256:{base.digest}"}),
    ]
    for source, settings in asked:
        with pytest.raises(ImageRefused, match=r"its sha256 is .*, as .* found at 20"):
            volume.ensure(source, **settings)
        assert base.path.read_bytes() == altered
    assert "kept the base" in berth(volume, "prune", "--now").stdout
    assert finding.path(volume.path, base.digest).exists()

    references.remove(volume.path, Reference(base.digest, "uuid", "web-0"))
    assert "removed the base" in berth(volume, "prune", "--now").stdout
    assert volume.names() == []
    assert volume.ensure(images.qcow2).path.read_bytes() == images.qcow2.read_bytes()


def test_a_finding_is_about_one_file(volume: Volume, images: Images) -> None:
    """Somebody removed the base by hand, and what was found of it stayed."""
    base = volume.ensure(images.qcow2)
    alter(base)
    os.utime(base.path, (1, 1))
    record = base.path.with_suffix(".json")
    whole = json.loads(record.read_text())
    record.write_text(json.dumps({**whole, "mtime_ns": 10**9}))
    assert berth(volume, "--verify").exit_code == 65
    base.path.unlink()
    assert volume.ensure(images.qcow2) == base
    assert bases.load(volume.path, base.digest) == base
    assert not finding.path(volume.path, base.digest).exists()


def test_a_volume_that_is_read_only(volume: Volume, images: Images, machine: Machine) -> None:
    base = volume.ensure(images.qcow2)
    before = alter(base)
    said = "cannot be written down beside it: Read-only file system; starts find out by themselves"
    with read_only(volume.path):
        shown = berth(volume, "--verify")
        assert shown.exit_code == 65, shown.stderr
        assert "NOT TO BE USED: its sha256 is " in shown.stdout
        assert said in shown.stdout
        status, log = machine.ends(IMG_SOURCE=str(images.qcow2), IMG_VERIFY="full")
        assert status == 65
        assert said in log
    alter(base, before)
    with read_only(volume.path):
        assert berth(volume, "--verify").exit_code == 0
    alter(base)
    berth(volume, "--verify")
    alter(base, before)
    with read_only(volume.path):
        shown = berth(volume, "--verify")
        assert "cannot be removed, and starts refuse it: Read-only file system" in shown.stdout
        assert shown.exit_code == 65
        assert machine.ends(IMG_SOURCE=str(images.qcow2))[0] == 65


def test_a_base_that_is_removed_meanwhile(volume: Volume, images: Images) -> None:
    base = volume.ensure(images.qcow2)
    base.path.unlink()
    assert verify.problem(volume.path, base.digest) == "it is gone"


@pytest.mark.parametrize("which", ["one", "two"])
def test_a_disk_is_not_moved_from_or_to_it(tmp_path: Path, which: str) -> None:
    """What the two bases have not in common would become part of the disk."""
    made: Volumes = volumes(tmp_path)
    made.image("two", "80M", at1M=6)
    settings, asked = made.settings("two", IMG_VERIFY="full"), made.to("two")
    before, names = content(made.disk), made.names()
    base = made.base(which)
    right = alter(base)
    with pytest.raises(ImageRefused, match=f"{base.path} is not what it was: its sha256 is"):
        pending.move(settings, made.place, asked, None)
    assert made.names() == names
    alter(base, right)
    assert verify.problem(settings.shared_dir, base.digest) == ""
    pending.move(settings, made.place, asked, None)
    assert content(made.disk) == before
    assert made.place.former.exists()
