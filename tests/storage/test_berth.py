"""`berth` where the VM is off: in a container that was started by hand, or whose VM stays off."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from launcher.cli.commands import commands
from launcher.disk import request
from launcher.disk.request import Restore
from launcher.host.unix import listening
from launcher.life import control, state
from launcher.life.state import Phase
from tests.storage.pet_volumes import NAME, ROOT, Volumes, volumes
from tests.storage.qcow2 import content, holds, write


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    made = volumes(tmp_path)
    (tmp_path / "run").mkdir()
    return made


def environ(made: Volumes, image: str = "one") -> dict[str, str]:
    return {
        "IMG_SOURCE": str(made.common / f"{image}.qcow2"),
        "SHARED_DIR": str(made.common / "shared"),
        "PET_DIR": str(made.place.folder),
        "RUN_DIR": str(made.folder / "run"),
        "VM_NAME": NAME,
        "QEMU_USER": "root",
        "ACCEL": "tcg",
    }


def berth(made: Volumes, *words: str, image: str = "one") -> Result:
    return CliRunner().invoke(
        commands, list(words), env=environ(made, image), catch_exceptions=False
    )


def done(made: Volumes, *words: str, image: str = "one") -> str:
    shown = berth(made, *words, image=image)
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def test_snapshots_from_the_first_to_the_last(made: Volumes) -> None:
    assert done(made, "snapshot", "create", "early", "--description", "a b") == (
        "took the snapshot early, offline\n"
    )
    write(made.disk, 3, "8M")
    head, line = done(made, "snapshot", "list").splitlines()
    assert head.split() == ["NAME", "TAKEN", "DISK", "HOW", "DESCRIPTION"]
    assert line.startswith("early  20")
    assert line.endswith("Z  100 MiB  offline  a b")
    said = done(made, "snapshot", "restore", "early")
    assert holds(made.disk, 9, "8M")
    assert not made.place.request.exists()
    (_, kept) = [each["name"] for each in json.loads(done(made, "snapshot", "list", "--json"))]
    assert said == f"restored early\nthe state before that is kept as {kept}\n"
    done(made, "snapshot", "restore", kept, "--discard")
    assert holds(made.disk, 3, "8M")
    done(made, "snapshot", "delete", "early")
    done(made, "snapshot", "delete", kept)
    shown = berth(made, "snapshot", "list")
    assert (shown.stdout, shown.stderr) == ("", "no snapshots\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["snapshot", "create", "a b/"], 2, "it has ' ' '/'; letters"),
        (["snapshot", "create", "early"], 73, "already"),
        (["snapshot", "delete", "late"], 66, "these are there: early"),
        (["snapshot", "restore", "late"], 66, "no snapshot 'late'"),
        (["snapshot", "restore", ".export-x"], 2, "goes with the end"),
        (["pet", "export", "/tmp"], 73, "nothing is overwritten"),
        (["pet", "export", "/tmp/x", "--snapshot", "late"], 66, "no snapshot 'late'"),
        (["rebase", "--undo"], 66, "no disk of before a rebase is kept"),
        (["rebase", "--confirm"], 66, "no disk of before a rebase is kept"),
    ],
)
def test_what_cannot_be_done_is_told(made: Volumes, words: list[str], code: int, said: str) -> None:
    done(made, "snapshot", "create", "early")
    before = made.disk.read_bytes()
    shown = berth(made, *words)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert said in shown.stderr
    assert made.disk.read_bytes() == before
    assert not made.place.request.exists()


def test_no_pet_yet(made: Volumes) -> None:
    made.disk.unlink()
    made.place.record.unlink()
    shown = berth(made, "snapshot", "create", "early")
    assert (shown.exit_code, "there is no pet" in shown.stderr) == (66, True)


@pytest.mark.parametrize(
    ("phase", "code"),
    [(Phase.OFF, 0), (Phase.STARTING, 75), (Phase.STOPPING, 75)],
)
def test_startvm_that_is_there(made: Volumes, phase: Phase, code: int) -> None:
    run_dir = made.folder / "run"
    state.write(run_dir, phase)
    with listening(control.path(run_dir)):
        assert berth(made, "snapshot", "create", "early").exit_code == code


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.STOPPING])
def test_kept_disk_is_not_dropped_while_the_vm_starts_or_stops(made: Volumes, phase: Phase) -> None:
    made.image("two", at1M=6)
    done(made, "rebase", image="two")
    state.write(made.folder / "run", phase)
    with listening(control.path(made.folder / "run")):
        assert berth(made, "rebase", "--confirm").exit_code == 75
    assert made.place.former.exists()


def test_what_was_cut_off_is_finished_first(made: Volumes) -> None:
    done(made, "snapshot", "create", "early")
    write(made.disk, 3, "8M")
    request.save(made.place, Restore("early", "before-restore-x"))
    done(made, "snapshot", "create", "late")
    assert holds(made.disk, 9, "8M")
    names = [each["name"] for each in json.loads(done(made, "snapshot", "list", "--json"))]
    assert names == ["early", "before-restore-x", "late"]


def test_what_a_killed_rebase_left_goes(made: Volumes) -> None:
    left = [made.place.rebasing, made.place.new_disk]
    for each in left:
        each.write_bytes(made.disk.read_bytes())
    done(made, "snapshot", "create", "early")
    assert [each for each in left if each.exists()] == []


def test_export(made: Volumes, tmp_path: Path) -> None:
    target = tmp_path / "out.qcow2"
    assert done(made, "pet", "export", str(target)).startswith(f"{target}: ")
    assert content(target) == content(made.disk)


def test_export_tells_the_size_of_the_snapshot_s_disk(made: Volumes, tmp_path: Path) -> None:
    done(made, "snapshot", "create", "early")
    made.start(VM_DISK_SIZE="300M")
    said = done(made, "pet", "export", str(tmp_path / "out.qcow2"), "--snapshot", "early")
    assert said.endswith(", a disk of 100 MiB\n")


def test_rebase_there_and_back(made: Volumes) -> None:
    made.image("two", at1M=6)
    before = content(made.disk)
    said = done(made, "rebase", image="two")
    assert said.splitlines()[1] == (
        f"the disk as it was is kept as {made.place.former} until berth rebase --confirm"
    )
    assert "already" in done(made, "rebase", image="two")
    assert content(made.disk) == before
    assert "again" in done(made, "rebase", "--undo")
    assert content(made.disk) == before
    done(made, "rebase", "--confirm")
    assert made.names() == ["web-3.json", "web-3.qcow2"]


def test_rebase_is_undone_where_the_new_base_is_gone(made: Volumes) -> None:
    made.image("two", at1M=6)
    before = content(made.disk)
    done(made, "rebase", image="two")
    made.base("two").path.unlink()
    assert "again" in done(made, "rebase", "--undo", image="two")
    assert content(made.disk) == before


@pytest.fixture
def slow(made: Volumes, tmp_path: Path) -> Path:
    """A folder for an export that takes a while."""
    write(made.disk, 5, "30M", "60M")
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_export_that_is_stopped_leaves_nothing(
    made: Volumes, slow: Path, number: signal.Signals
) -> None:
    code = "from launcher.cli.berth import main; main()"
    argv = [sys.executable, "-c", code, "pet", "export", str(slow / "out.qcow2"), "--compress"]
    env = {**os.environ, **environ(made)}
    with subprocess.Popen(argv, cwd=ROOT, env=env, stderr=subprocess.PIPE) as export:
        while not any(each.suffix == ".part" and each.stat().st_blocks for each in slow.iterdir()):
            assert export.poll() is None, "it ended before it could be stopped"
        export.send_signal(number)
        assert export.wait(30) != 0
    assert list(slow.iterdir()) == []
