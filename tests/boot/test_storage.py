"""Storage that fills up or goes away under a VM that writes, and the disks as they are kept."""

import hashlib
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

from tests.boot import filesystem
from tests.boot.outage import storage
from tests.boot.test_probe import PATIENCE, probe, wait_for
from tests.boot.test_stop import CLEAN, DATA
from tests.pods.container import volume
from tests.pods.run import Run
from tests.pods.vm import Pod

MIB = 1 << 20

# How much the guest writes, and how it says that all of it is written.
MUCH = 12
WRITTEN = "until grep -q written /run/sum; do usleep 100000; done"


def write(pod: Pod, path: str) -> None:
    """Have the guest write to `path` a moment later, and keep the checksum of what it wrote where
    no disk is: the bytes are not read from anywhere again."""
    much = f"dd if=/dev/urandom bs=1M count={MUCH} 2>/dev/null"
    words = f"{much} | tee {path} | sha256sum >/run/sum; sync; echo written >>/run/sum"
    pod.ssh(f"(sleep 1; {words}) >/dev/null 2>&1 &")


def sums(pod: Pod, path: str) -> tuple[str, str]:
    """The checksums of what was written and of what the disk has, once all is."""
    pod.ssh(WRITTEN)
    pod.ssh("sync; echo 3 >/proc/sys/vm/drop_caches")
    read = f"dd if={path} bs=1M count={MUCH} 2>/dev/null | sha256sum"
    wrote, kept = pod.ssh(f"head -n 1 /run/sum; {read}").splitlines()
    return wrote, kept


def stops(pod: Pod, run: Run, reason: str) -> None:
    """The VM is paused: alive, not ready, and it says why."""
    run.log.wait_for(r"the VM is paused, and goes on by itself once ")
    is_ready, told = probe(pod, "ready")
    assert not is_ready
    assert re.match(f"paused: {reason}", told)
    assert probe(pod, "alive") == (True, told)
    status = pod.berth("status", check=False)
    assert (status.returncode, status.stdout) == (1, told + "\n")


def goes_on(pod: Pod, run: Run) -> None:
    run.log.wait_for(r"^startvm: the VM goes on after ", PATIENCE)
    wait_for(pod, (True, "running"), "ready")


def test_a_volume_that_fills_pauses_the_vm_and_costs_no_byte(idle: Pod, tmp_path: Path) -> None:
    with volume(idle.folder / "pet", "24M"):
        ballast = idle.folder / "pet/ballast"
        ballast.write_bytes(os.urandom(14 * MIB))
        run = idle.boot()
        write(idle, "/data/much")
        stops(
            idle,
            run,
            r"disk pet: write failed: No space left on device \(no space left\); "
            rf"{idle.folder}/pet has [0-9.]+ (bytes|KiB) of 24\.0 MiB free, and web-3\.qcow2 may "
            r"still take [0-9.]+ MiB: up to [0-9.]+ MiB are missing\n?$",
        )
        ballast.unlink()
        goes_on(idle, run)
        wrote, kept = sums(idle, "/data/much")
        assert wrote == kept
        assert run.log.text.count("(no space left)") == 1
        assert run.log.text.count("goes on by itself") == 1
        assert run.stop().status == 0
        assert filesystem.judge(idle.disk, DATA, tmp_path) == CLEAN


def test_storage_that_goes_away_and_comes_back_costs_no_byte(idle: Pod) -> None:
    with storage(idle.folder / "volumes/a.img", 32 * MIB) as far:
        run = idle.boot()
        idle.ssh("echo before | dd of=/dev/vdb bs=512 seek=60000 conv=sync,fsync 2>/dev/null")
        far.take_away()
        write(idle, "/dev/vdb")
        stops(idle, run, r"disk disk0: (read|write|flush) failed: Input/output error$")
        far.bring_back()
        goes_on(idle, run)
        wrote, kept = sums(idle, "/dev/vdb")
        assert wrote == kept
        # No file system was made read-only, and no error was the guest's to see.
        assert "I/O error" not in idle.ssh("dmesg")
        assert run.stop().status == 0
        assert hashlib.sha256(far.backing[: MUCH * MIB]).hexdigest() == wrote.split()[0]
        assert far.backing[60000 * 512 :].startswith(b"before\n")


def say(monitor: Path, command: str) -> dict[str, Any]:
    """Speak to QEMU past Berth, as a person may."""
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rw") as words:
        line.connect(str(monitor))
        for each in ("qmp_capabilities", command):
            words.write(json.dumps({"execute": each}) + "\n")
            words.flush()
            while "return" not in (answer := json.loads(words.readline())):
                assert "error" not in answer
        return dict(answer["return"])


def test_a_person_may_pause_a_vm_that_runs(idle: Pod) -> None:
    """One that an error has stopped may not be paused besides: that is how QEMU takes it."""
    monitor = idle.folder / "monitor"
    with storage(idle.folder / "volumes/a.img", 32 * MIB) as far:
        run = idle.boot("-qmp", f"unix:{monitor},server=on,wait=off")
        say(monitor, "stop")
        wait_for(idle, (False, "paused"), "ready")
        assert idle.berth("status", check=False).stdout == "paused\n"
        say(monitor, "cont")
        wait_for(idle, (True, "running"), "ready")

        far.take_away()
        write(idle, "/dev/vdb")
        stops(idle, run, "disk disk0: ")
        say(monitor, "stop")
        assert say(monitor, "query-status")["status"] == "io-error"
        far.bring_back()
        goes_on(idle, run)


def test_an_extra_disk_stays_raw_whatever_the_guest_writes_on_it(idle: Pod, tmp_path: Path) -> None:
    """A header of qcow2 that names a file of the container's would show the guest that file, if
    anybody looked for one."""
    secret, trap = tmp_path / "secret", tmp_path / "trap"
    secret.write_bytes(b"not for guests\n".ljust(8 * MIB, b"."))
    filesystem.run(
        "qemu-img", "create", "-q", "-f", "qcow2", "-b", str(secret), "-F", "raw", str(trap)
    )
    header = trap.read_bytes()
    disk = idle.folder / "volumes/a.img"
    with disk.open("wb") as file:
        file.truncate(5 * MIB)
    run = idle.boot()
    idle.ssh("cat >/run/header; dd if=/run/header of=/dev/vdb conv=fsync 2>/dev/null", header)
    assert run.stop().status == 0
    assert disk.read_bytes() == header.ljust(5 * MIB, b"\0")
    for _ in range(2):
        run = idle.boot()
        told = idle.ssh("cat /sys/block/vdb/size; sha256sum </dev/vdb").split()
        assert told[:2] == [
            str(5 * MIB // 512),
            hashlib.sha256(header.ljust(5 * MIB, b"\0")).hexdigest(),
        ]
        assert run.stop().status == 0
