"""The disk of a VM that runs: snapshots of it, a way back, a copy that boots, another base."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.boot import filesystem
from tests.boot.filesystem import Verdict
from tests.boot.test_users import NEEDED
from tests.pods.container import QEMU_USER, Rights
from tests.pods.run import End
from tests.pods.shapes import site
from tests.pods.ssh import Key
from tests.pods.vm import Pod, pod

DATA = 2


@dataclass(frozen=True)
class Told:
    """What `berth` and the guest said, in turn."""

    pod: Pod
    took: str
    listed: list[dict[str, Any]]
    refused: int
    exported: str
    copy: Path
    verdict: Verdict
    end: End
    before: str
    after: str
    left: list[str]


def note(ours: Pod, text: str) -> None:
    # Not synced: what is at rest has it on the disk.
    ours.ssh(f"echo {text} >/data/note")


def exports(ours: Pod) -> Path:
    """Another volume of the pod."""
    folder = ours.folder / "exports"
    folder.mkdir()
    return folder


def names(ours: Pod) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ours.berth("snapshot", "list", "--json").stdout)
    return found


@pytest.fixture(scope="module")
def told(key: Key, image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("snapshots")
    user = {"QEMU_USER": QEMU_USER}
    with site("plain") as made, pod(made, folder / "pod", key, image, user) as ours:
        # As little as a container has; QEMU's tools run as its own user here.
        ours.rights, ours.open = Rights(tuple(NEEDED)), True
        copy = exports(ours) / "copy.qcow2"
        run = ours.boot()
        note(ours, "one")
        took = ours.berth("snapshot", "create", "early", "--description", "for a test").stdout
        note(ours, "two")
        exporting = ours.berth("pet", "export", str(copy)).stdout
        note(ours, "three")
        verdict = filesystem.judge(copy, DATA, folder)
        listed = names(ours)
        refused = ours.berth("snapshot", "restore", "early", check=False).returncode
        before = ours.ssh("cat /data/note")
        ours.berth("snapshot", "restore", "early", "--restart")
        end = run.wait()
        ours.boot()
        after = ours.ssh("cat /data/note")
        left = [each["name"] for each in names(ours)]
        ours.berth("snapshot", "delete", "early")
        left += [each["name"] for each in names(ours)]
        yield Told(ours, took, listed, refused, exporting, copy, verdict, end, before, after, left)


def test_guest_is_brought_to_rest(told: Told) -> None:
    assert told.took == "took the snapshot early, agent-frozen\n"
    (early,) = told.listed
    assert (early["name"], early["how"], early["description"]) == (
        "early",
        "agent-frozen",
        "for a test",
    )


def test_export_s_own_snapshot_is_gone_when_it_is_done(told: Told) -> None:
    assert [each["name"] for each in told.listed] == ["early"]
    assert told.copy.name in told.exported


def test_filesystem_in_the_export_was_at_rest(told: Told) -> None:
    assert told.verdict == Verdict(is_clean=True, is_sound=True)


def test_disk_is_not_set_back_under_a_vm(told: Told) -> None:
    assert (told.refused, told.before) == (75, "three")


def test_restart_restores(told: Told) -> None:
    assert told.end.status == 0
    assert "told to restore the snapshot early, which the next start does first" in told.end.log
    assert told.after == "one"
    kept, *others = [each for each in told.left if each != "early"]
    assert kept.startswith("before-restore-")
    assert told.left == ["early", kept, kept]
    assert others == [kept]
    assert "restored the snapshot early; the state before that is kept as" in (
        told.pod.runs[-1].log.text
    )


def test_export_boots_by_itself_and_a_pet_moves_to_it_and_back(
    told: Told, key: Key, image: Path, tmp_path: Path
) -> None:
    with site("plain") as made, pod(made, tmp_path / "pod", key, told.copy) as ours:
        run = ours.boot()
        assert ours.ssh("cat /data/note") == "two"
        note(ours, "four")
        said = ours.berth("rebase", "--restart", IMG_SOURCE=str(image), IMG_TARGET="new").stdout
        assert "its next start moves the disk" in said
        assert run.wait().status == 0
        run = ours.boot(IMG_SOURCE=str(image), IMG_TARGET="new")
        assert "moved the disk from" in run.log.text
        assert ours.ssh("cat /data/note") == "four"
        ours.berth("rebase", "--confirm")
        assert sorted(each.name for each in (ours.folder / "pet").iterdir()) == [
            "web-3.holder.json",
            "web-3.json",
            "web-3.lock",
            "web-3.qcow2",
        ]
        assert ours.ssh("cat /data/note") == "four"
        assert run.stop().status == 0
        assert filesystem.judge(ours.disk, DATA, tmp_path) == Verdict(True, True)


def test_guest_without_an_agent(idle: Pod) -> None:
    idle.write_userdata("# berth-no-agent")
    run = idle.boot()
    note(idle, "one")
    idle.ssh("sync")
    took = idle.berth("snapshot", "create", "early").stdout
    assert took == "took the snapshot early, crash-consistent (no guest agent answers)\n"
    note(idle, "two")
    assert run.stop().status == 0
    said = idle.berth("snapshot", "restore", "early", "--discard").stdout
    assert said == "restored early\n"
    idle.boot()
    assert idle.ssh("cat /data/note") == "one"


# A client that is gone as soon as it has what it asked for.
HOLDER = """
import socket, sys
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
end.sendall(b'{"command": "snapshot-hold"}\\n')
print(end.makefile().readline())
"""


def test_snapshots_are_exported_and_held_only_while_somebody_is_there(idle: Pod) -> None:
    idle.boot()
    idle.berth("snapshot", "create", "early")
    door = str(idle.run_dir / "control.sock")
    assert ".export-" in idle.exec(sys.executable, "-c", HOLDER, door).stdout
    target = exports(idle) / "early.qcow2"
    idle.berth("pet", "export", str(target), "--snapshot", "early", "--compress")
    assert [each["name"] for each in names(idle)] == ["early"]
    assert [each.name for each in target.parent.iterdir()] == ["early.qcow2"]
