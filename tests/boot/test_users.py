"""Whom QEMU runs as, and how few rights we need ourselves."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot.terminal import attached
from tests.boot.test_machine import loop_device
from tests.boot.test_options import qemu_img
from tests.boot.test_stop import DEAF, NO_AGENT
from tests.pods.container import QEMU_ID, QEMU_USER, Rights
from tests.pods.run import Run
from tests.pods.vm import Pod

# All that startvm needs as root, each for what it does and no more.
NEEDED = {
    "net_admin": "tap, bridge, addresses, NAT, forwarding",
    "mknod": "/dev/net/tun, where the runtime makes none",
    "net_bind_service": "DHCP's port 67, where ports below 1024 are reserved",
    "setuid": "QEMU's own user",
    "setgid": "and its groups",
    "chown": "files given to QEMU's group",
}


@pytest.fixture
def dropped(idle: Pod) -> Pod:
    """A pod with `drop: [ALL]` and what is needed, in which QEMU has a user of its own."""
    idle.rights = Rights(tuple(NEEDED))
    idle.open = True
    idle.settings["QEMU_USER"] = QEMU_USER
    return idle


def status(pid: int) -> dict[str, list[str]]:
    """/proc/PID/status, of all that counts here."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def assert_nobody_special(pid: int) -> None:
    found = status(pid)
    assert found["Uid"] == found["Gid"] == [str(QEMU_ID)] * 4
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(found[name][0], 16) == 0
    assert (found["NoNewPrivs"], found["Seccomp"]) == (["1"], ["2"])


def test_qemu_is_nobody_special_and_we_have_six_capabilities(dropped: Pod, tmp_path: Path) -> None:
    extra = dropped.folder / "volumes/a.img"
    extra.write_bytes(bytes(1 << 20))
    extra.chmod(0o600)
    block = tmp_path / "block"
    block.write_bytes(bytes(1 << 20))
    password = dropped.folder / "password"
    password.write_text("secret")
    password.chmod(0o400)
    with loop_device(block) as device:
        (dropped.folder / "disks/1").symlink_to(device)
        dropped.devices = [device]
        run = dropped.boot(VNC_PASSWORD_FILE=str(password), VM_DISK_SIZE="300M")
        assert_nobody_special(run.qemu)
        for disk in ("vdb", "vdc"):
            dropped.ssh(f"echo written | dd of=/dev/{disk} conv=fsync 2>/dev/null")
        with attached(dropped) as person:
            person.wait_for(rb"attached to the console")
        assert dropped.berth("status").stdout == "running\n"
        # The agent's socket is ours too.
        run.console.wait_for("^tiny login ready")
        end = run.stop()
    assert end.status == 0, end.log
    assert "the guest agent shuts the guest down" in end.log
    assert extra.read_bytes().startswith(b"written")
    assert sorted(each.name for each in dropped.run_dir.iterdir() if each.is_socket()) == []
    # Ours still, so that neither root nor a pod that runs wholly as QEMU's user loses it.
    found = dropped.disk.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, QEMU_ID, 0o664)


def test_nothing_is_written_but_to_volumes(dropped: Pod, tmp_path: Path) -> None:
    """readOnlyRootFilesystem, with all that a first start does: a packed raw image, an Ignition
    config that only root may read, and all of them on the one volume that the first Berth had."""
    raw = dropped.folder / "disk.raw"
    qemu_img("convert", "-f", "qcow2", "-O", "raw", dropped.image, raw)
    subprocess.run(["gzip", "-1", raw], check=True)
    ignition = dropped.folder / "ignition"
    ignition.write_text('{"ignition": {"version": "3.4.0"}}')
    ignition.chmod(0o400)
    volume = dropped.folder / "image"
    volume.mkdir()
    dropped.rights = dropped.rights._replace(read_only=True)
    for place in ("/", "/tmp", "/var/tmp", "/var/lib/misc", "/root", "/run"):
        done = dropped.exec("sh", "-c", f"echo >{place}/written", check=False)
        assert "Read-only file system" in done.stderr
    dropped.settings |= {
        "IMG_SOURCE": f"{raw}.gz",
        "IGNITION_CONFIG_FILE": str(ignition),
        "SHARED_DIR": str(volume),
        "PET_DIR": str(volume),
    }
    run = dropped.boot()
    assert_nobody_special(run.qemu)
    copy = dropped.run_dir / "ignition"
    arguments = Path(f"/proc/{run.qemu}/cmdline").read_text().split("\0")
    assert f"name=opt/com.coreos/config,file={copy}" in arguments
    assert copy.read_bytes() == ignition.read_bytes()
    assert run.stop().status == 0
    (base,) = volume.glob("sha256-*.qcow2")
    names = {"disk.raw.gz", base.name, f"{base.stem}.json", "web-3.qcow2", "web-3.json"}
    names |= {"web-3.lock", f"{base.stem}.pets"}
    assert {each.name for each in volume.iterdir()} == names
    again = dropped.boot()
    assert "fetch" not in again.log.text
    assert again.stop().status == 0


def test_a_qemu_that_hangs_is_killed_without_the_capability_kill(dropped: Pod) -> None:
    dropped.write_userdata(NO_AGENT, DEAF)
    run = dropped.start(STOP_TIMEOUT="20")
    run.log.wait_for("is running$")
    os.kill(run.qemu, signal.SIGSTOP)
    end = run.stop()
    assert (end.status, end.seconds < 20) == (70, True), end.log
    assert "stopping: killing QEMU" in end.log


def test_a_pet_of_a_qemu_that_was_root_is_taken_over_and_given_back(dropped: Pod) -> None:
    def first() -> Run:
        run = dropped.boot()
        dropped.ssh("echo kept >>/data/note; sync")
        return run

    dropped.settings["QEMU_USER"] = ""
    run = first()
    assert status(run.qemu)["Uid"] == ["0"] * 4
    assert run.stop().status == 0
    dropped.disk.chmod(0o600)
    dropped.settings["QEMU_USER"] = QEMU_USER
    run = first()
    assert_nobody_special(run.qemu)
    assert run.stop().status == 0
    dropped.settings["QEMU_USER"] = ""
    run = first()
    assert dropped.ssh("cat /data/note") == "kept\nkept\nkept"
    assert run.stop().status == 0


def test_a_disk_that_cannot_be_given_away_is_named(dropped: Pod) -> None:
    disk = dropped.folder / "disks/1"
    disk.write_bytes(bytes(1 << 20))
    os.chown(disk, 1000, 1000)
    disk.chmod(0o600)
    end = dropped.start().wait()
    assert end.status == 77
    assert (
        f"QEMU runs as qemu (uid 107) and may not read and write {disk} (1000:1000, mode 0600); "
        "giving it to group 107 is not allowed either (hint: do that outside: chgrp 107" in end.log
    )
    assert (disk.stat().st_gid, disk.stat().st_mode & 0o777) == (1000, 0o600)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_on_a_read_only_volume_is_named(dropped: Pod) -> None:
    disk = dropped.folder / "disks/1"
    disk.write_bytes(bytes(1 << 20))
    with read_only(disk.parent):
        end = dropped.start().wait()
    assert end.status == 77
    assert f"{disk} (0:0, mode 0644), which is on a read-only volume" in end.log


def test_a_folder_that_keeps_qemu_out_is_named(dropped: Pod) -> None:
    (dropped.folder / "shared").chmod(0o700)
    end = dropped.start().wait()
    assert end.status == 77
    shared = dropped.folder / "shared"
    assert f"{shared} (0:0, mode 0700) keeps it out (hint: let everybody, or group 107" in end.log


@pytest.mark.parametrize("lacking", ["setuid", "setgid", "chown"])
def test_a_capability_that_is_missing_is_named(dropped: Pod, lacking: str) -> None:
    dropped.rights = Rights(tuple(set(NEEDED) - {lacking}))
    end = dropped.start().wait()
    assert end.status == 77, end.log
    assert lacking.upper() in end.log


def test_a_user_that_is_not_there(dropped: Pod) -> None:
    end = dropped.start(QEMU_USER="nobody-knows-me", VM_IP="10.0.0.9").wait()
    assert end.status == 78
    assert end.log.count("VM_IP") == 1
    end = dropped.start(QEMU_USER="nobody-knows-me").wait()
    assert end.status == 78
    assert "QEMU_USER='nobody-knows-me' is not known here; accepted: a user of" in end.log


def test_nobody_becomes_another_user(dropped: Pod) -> None:
    dropped.rights = Rights(uid=1000)
    end = dropped.start().wait()
    assert end.status == 78
    assert "QEMU_USER='qemu' has uid 107, and startvm runs as uid 1000, which cannot" in end.log
