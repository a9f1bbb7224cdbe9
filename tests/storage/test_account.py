"""Programs of another user: who they are, and ending them with no right over them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.host import access
from launcher.host.account import Account, assumed
from launcher.host.errors import RightMissing
from launcher.host.process import Limits, run, spawn
from launcher.life.launch import how_to_open
from tests.storage.processes import assert_child_dies_with, shell

ROOT = Path(__file__).parents[2]

QEMU = Account("qemu", 107, 108, (6, 36))

# What startvm has of all that could help it: neither KILL nor DAC_OVERRIDE nor FOWNER.
FEW = (
    *("setpriv", "--bounding-set=-all,+setuid,+setgid,+chown", "--inh-caps=-all"),
    *("--no-new-privs", "--", sys.executable, "-c"),
)


@pytest.fixture(autouse=True)
def _is_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="berth-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def few(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*FEW, script], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_how_disks_open_is_seen_as_qemu_s_user(folder: Path) -> None:
    disk = folder / "disk"
    disk.write_bytes(bytes(4096))
    disk.chmod(0o600)
    assert how_to_open(folder / "base", [disk], None).direct == {disk}
    assert how_to_open(folder / "base", [disk], QEMU).direct == set()
    disk.chmod(0o644)
    assert how_to_open(folder / "base", [disk], QEMU).direct == {disk}
    assert os.geteuid() == 0


def test_whom_a_program_runs_as() -> None:
    limits = Limits(address_space=1 << 30, cpu_seconds=10)
    for told in (
        run(["cat", "/proc/self/status"], account=QEMU),
        run(["cat", "/proc/self/status"], account=QEMU, limits=limits),
    ):
        lines = (line.partition(":") for line in told.stdout.splitlines())
        status = {name: rest.split() for name, _, rest in lines}
        assert status["Uid"] == ["107"] * 4
        assert status["Gid"] == ["108"] * 4
        assert status["Groups"] == ["6", "36"]
        assert [int(status[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff")] == [0, 0, 0]
        assert status["NoNewPrivs"] == ["1"]


def test_it_dies_with_us() -> None:
    script = (
        "from launcher.host.account import Account\n"
        "from launcher.host.process import spawn\n"
        "with spawn('child', ['sh', '-c', 'echo $$; exec sleep 60'],\n"
        "           account=Account('qemu', 107, 107)):\n"
        "    input()\n"
    )
    assert_child_dies_with(script)


def test_it_is_ended_without_the_capability_kill() -> None:
    script = (
        "from launcher.host.account import Account\n"
        "from launcher.host.process import run, spawn\n"
        "from launcher.host.errors import StorageError\n"
        "qemu = Account('qemu', 107, 107)\n"
        "with spawn('child', ['sleep', '60'], account=qemu) as child:\n"
        "    pass\n"
        "print(child.status())\n"
        "try:\n"
        "    run(['sleep', '60'], timeout=0.2, account=qemu)\n"
        "except StorageError as err:\n"
        "    print(err)\n"
    )
    done = few(script)
    assert done.stdout == "-15\nsleep did not end within 0 s\n", done.stderr


def test_afterwards_we_are_ourselves_again() -> None:
    def fail() -> None:
        with assumed(QEMU):
            assert (os.geteuid(), os.getegid(), os.getgroups()) == (107, 108, [6, 36])
            raise ZeroDivisionError

    before = (os.getresuid(), os.getresgid(), os.getgroups())
    with pytest.raises(ZeroDivisionError):
        fail()
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def test_a_file_becomes_the_groups_and_stays_ours(folder: Path) -> None:
    path = folder / "disk"
    path.touch(0o600)
    assert not access.may(QEMU, path, access.READ)
    access.grant(path, QEMU, access.READ)
    assert access.may(QEMU, path, access.READ)
    assert not access.may(QEMU, path, access.READ_WRITE)
    access.grant(path, QEMU, access.READ_WRITE)
    assert access.may(QEMU, path, access.READ_WRITE)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 108, 0o660)


def test_a_file_that_can_be_used_already_is_left_alone(folder: Path) -> None:
    path = folder / "disk"
    path.touch(0o666)
    path.chmod(0o666)
    access.grant(path, QEMU, access.READ_WRITE)
    assert (path.stat().st_gid, path.stat().st_mode & 0o777) == (0, 0o666)


def test_a_folder_on_the_way_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = tmp_path / "disk"
    path.touch(0o666)
    with pytest.raises(RightMissing, match=r"mode 0700\) keeps it out"):
        access.grant(path, QEMU, access.READ)


def test_groups_of_devices(folder: Path) -> None:
    """A device whose group may use it is joined; root's group is nobody's to join."""
    for name, gid, mode in (
        ("kvm", 36, 0o660),
        ("disk", 999, 0o660),
        ("root", 0, 0o660),
        ("all", 998, 0o666),
        ("owner", 997, 0o600),
    ):
        path = folder / name
        path.touch()
        path.chmod(mode)
        os.chown(path, 0, gid)
    assert access.groups_of(QEMU, folder.iterdir()) == {999}


def test_output_of_both_kinds_still_comes_back() -> None:
    told = run(shell("cat; echo err >&2"), stdin="in", account=QEMU)
    assert (told.stdout, told.stderr) == ("in", "err\n")


def test_spawned_program_has_its_user_too() -> None:
    with spawn("child", ["sleep", "60"], account=QEMU) as child:
        status = Path(f"/proc/{child.pid}/status")
        while "sleep" not in status.read_text().split("\n", 1)[0]:
            pass
        assert "\nUid:\t107\t107\t107\t107\n" in status.read_text()
