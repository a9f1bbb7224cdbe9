"""What dies while the VM runs, and what must not run twice."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from launcher.disk import request
from launcher.disk.place import Place
from launcher.disk.request import Restore
from tests.pods.container import volume
from tests.pods.run import END_PATIENCE, Run
from tests.pods.shapes import site
from tests.pods.vm import Pod, pod

RENEW = "pidof udhcpc | xargs kill -USR1"


def running(idle: Pod, *arguments: str, **settings: str) -> Run:
    """A VM that has just been told to run; its guest has not got far."""
    run = idle.start(*arguments, **settings)
    run.log.wait_for("is running$")
    return run


def wait_for_status(idle: Pod, wanted: str) -> None:
    deadline = time.monotonic() + END_PATIENCE
    while not (told := idle.berth("status", check=False).stdout).startswith(wanted):
        assert time.monotonic() < deadline, told


def is_there(pid: int) -> bool:
    """Whether a process runs; one that only waits for its exit status to be read does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def test_what_is_asked_for_while_qemu_starts_is_for_the_next_start(
    idle: Pod, tmp_path: Path
) -> None:
    running(idle).kill()
    agent = idle.run_dir / "agent.sock"
    agent.unlink()
    idle.berth("snapshot", "create", "early")
    # QEMU gets no further until somebody reads from this.
    held_up = tmp_path / "held-up"
    os.mkfifo(held_up)
    run = idle.start("-chardev", f"file,id=held-up,path={held_up}")
    while not agent.exists():
        assert run.is_alive, run.log.tail
        time.sleep(0.01)
    request.save(Place(idle.disk.parent, idle.name), Restore("early", ""))
    with held_up.open("rb"):
        end = run.wait()
    assert end.status == 75, end.log
    assert "web-3 was told to restore the snapshot early while QEMU was started" in end.log
    assert "is running" not in end.log
    assert "restored the snapshot early" in running(idle).log.text


def test_dnsmasq_comes_back_and_the_next_start_takes_over_after_a_kill(idle: Pod) -> None:
    run = idle.boot()
    first = run.child("dnsmasq")
    os.kill(first, signal.SIGKILL)
    run.log.wait_for("dnsmasq ended with status -9.*; starting it again")
    idle.ssh("rm /run/lease")
    # The guest asks again for as long as nobody answers.
    idle.ssh(f"until [ -s /run/lease ]; do {RENEW}; usleep 200000; done")
    assert run.child("dnsmasq") != first
    assert "mtu='1450'" in idle.ssh("cat /run/lease")
    idle.ssh("echo kept >/data/note; sync")

    children = run.qemu, run.child("dnsmasq")
    run.kill()
    assert [pid for pid in children if is_there(pid)] == []

    again = idle.boot()
    assert "warning" not in again.log.text
    assert idle.ssh("cat /data/note") == "kept"
    assert again.stop().status == 0
    assert "br0" not in idle.site.pod.run("ip", "link")


def test_the_end_of_qemu_is_told_in_words(idle: Pod) -> None:
    run = running(idle)
    os.kill(run.qemu, signal.SIGKILL)
    end = run.wait()
    assert end.status == 70
    assert "startvm: error: QEMU died of signal 9:\nit said nothing" in end.log
    assert "br0" not in idle.site.pod.run("ip", "link")


def test_a_pet_runs_once_and_the_second_pod_is_told_who_has_it(idle: Pod, tmp_path: Path) -> None:
    """Two pods of one name on one volume, on two nodes say. What is done to the first one's words
    about itself makes no difference: the lock is QEMU's."""
    note = idle.folder / "pet/web-3.holder.json"
    running(idle, NODE_NAME="n1", POD_NAMESPACE="pets")
    with site("calico") as elsewhere:
        settings = {**idle.settings, "RUN_DIR": str(tmp_path / "run")}
        with pod(elsewhere, idle.folder, idle.key, idle.image, settings) as other:
            end = other.start(VM_DISK_SIZE="1G").wait()
            assert end.status == 75, end.log
            first = rf"web-3 \({idle.site.pod_ip}, in the namespace pets, on the node n1\) since 20"
            assert re.search(f"the pet web-3 is in use by the pod {first}", end.log)
            assert str(idle.disk) in end.log
            assert "a pet runs once; the other pod has to end first" in end.log
            assert idle.runs[0].is_alive

            note.unlink()
            assert other.start().wait().status == 75

            # It died, and its words stayed.
            note.write_text('{"pod": "web-3"}')
            idle.runs[0].kill()
            running(other)
            assert json.loads(note.read_text())["address"] == elsewhere.pod_ip
            other.runs[-1].stop()
    assert not note.exists()


def test_a_base_that_was_altered_starts_no_vm(idle: Pod) -> None:
    """Somebody who may write to the shared volume did so while the VM was off."""
    first = running(idle)
    first.stop()
    before = hashlib.sha256(idle.disk.read_bytes()).hexdigest()
    (base,) = (idle.folder / "shared").glob("sha256-*.qcow2")
    base.chmod(0o644)
    with base.open("r+b") as file:
        file.seek(base.stat().st_size // 2)
        file.write(b"other bytes")
    end = idle.start().wait()
    assert end.status == 65, end.log
    assert f"startvm: error: the base {base} is not what it was: " in end.log
    assert "is running" not in end.log
    assert hashlib.sha256(idle.disk.read_bytes()).hexdigest() == before


def test_an_extra_disk_in_use_is_named(idle: Pod) -> None:
    disk = idle.folder / "volumes/a.img"
    disk.write_bytes(bytes(1 << 20))
    argv = ["qemu-io", "-f", "raw", str(disk)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        # The prompt comes once it is open.
        assert holder.stdout.read(len("qemu-io>")) == b"qemu-io>"
        end = idle.start().wait()
        holder.stdin.close()
    assert end.status == 75, end.log
    assert f"startvm: error: the disk {disk} is in use by another process" in end.log


def test_a_guest_that_fills_its_volume_is_paused_not_broken(idle: Pod) -> None:
    """Its disk may be larger than what there is room for; no write is lost or refused."""
    with volume(idle.folder / "pet", "4M"):
        run = idle.boot(STOP_TIMEOUT="4")
        idle.client.attempt(
            "(dd if=/dev/urandom of=/data/much bs=1M count=8; sync) >/dev/null 2>&1 &"
        )
        run.log.wait_for(r"error: disk pet: write failed: .* \(no space left\)")
        wait_for_status(idle, "paused: disk pet: write failed: ")
        end = run.stop()
    assert (end.status, end.seconds < 4) == (70, True), end.log
    assert "warning: the VM is paused, and cannot shut down unless it goes on before" in end.log
    assert "error: the VM was paused, so the guest could not shut down and was cut off" in end.log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-no-such-option",), "-no-such-option: invalid option"),
        (("-device", "no-such-device"), "'no-such-device' is not a valid device model name"),
    ],
    ids=["option", "device"],
)
def test_qemu_has_its_say_about_its_arguments(
    idle: Pod, arguments: tuple[str, ...], words: str
) -> None:
    end = idle.start(*arguments).wait()
    assert end.status == 70
    assert "startvm: error: QEMU exited 1:" in end.log
    assert words in end.log.partition("startvm: error:")[2]


def test_what_startvm_is_no_command_for(idle: Pod) -> None:
    end = idle.start("boot").wait()
    assert end.status == 78
    assert "startvm's argument 'boot' is not accepted; accepted: QEMU's options" in end.log


def test_startvm_bash_is_a_shell(idle: Pod) -> None:
    run = idle.start("bash", "-c", "echo $PET_DIR; exit 3")
    assert run.wait().status == 3
    assert run.console.text == f"{idle.folder / 'pet'}\n"


def test_another_network_of_the_pods_own_is_not_taken(idle: Pod) -> None:
    idle.site.pod.ip("link add br0 type bridge")
    end = idle.start().wait()
    assert end.status == 70
    assert "there is already a network device br0, and it is not Berth's" in end.log
    idle.site.pod.run("ip", "link", "show", "br0")
