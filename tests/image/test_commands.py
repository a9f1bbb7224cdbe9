"""What the image does before, or without, starting a VM."""

import json
from pathlib import Path

from tests.image.conftest import Once

NOTHING = ("--network=none",)
ALONE = ("--cap-drop=all", "--read-only", "--network=none")


def test_start_without_settings_says_what_is_wrong(once: Once) -> None:
    done = once(options=NOTHING)
    assert done.returncode == 78
    assert "IMG_SOURCE is not set, and neither is IMG_TARGET" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_shell_in_the_place_of_a_vm(once: Once) -> None:
    done = once("bash", "-c", "echo $0 $((6 * 7)); exit 3", options=ALONE)
    assert done.stdout == "bash 42\n"
    assert done.returncode == 3


def test_tini_is_the_first_process(once: Once) -> None:
    done = once("bash", "-c", "cat /proc/1/comm; echo $PPID", options=ALONE)
    assert done.stdout == "tini\n1\n"


def test_tini_reaps_what_others_leave_behind(once: Once) -> None:
    script = """
        (sh -c 'exit 0' & echo $! >/dev/shm/orphan)
        pid=$(cat /dev/shm/orphan)
        while [[ -e /proc/$pid ]]; do sleep 0.05; done
        echo reaped
    """
    assert once("bash", "-c", script, options=ALONE).stdout == "reaped\n"


def settings(once: Once, *options: str) -> dict[str, str]:
    """What `berth settings` has to say."""
    source = "--env=IMG_SOURCE=http://example.org/a.qcow2"
    done = once("bash", "-c", "berth settings --json", options=(*ALONE, source, *options))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_settings(once: Once) -> None:
    found = settings(once, "--env=VM_MEMORY=2G", "--hostname=web-3", "--cpus=1.5")
    assert found["VM_NAME"] == "web-3"
    assert found["VM_MEMORY"] == "2G"
    # The container's limit, as its control group has it.
    assert found["VM_CPUS"] == "2"
    assert found["QEMU_USER"] == "qemu"


def test_one_volume_for_everything(once: Once, tmp_path: Path) -> None:
    found = settings(once, f"--volume={tmp_path}:/image")
    assert (found["SHARED_DIR"], found["PET_DIR"]) == ("/image", "/image")


def test_plan(once: Once, tmp_path: Path) -> None:
    options = (
        *("--cap-drop=all", "--cap-add=NET_ADMIN", "--cap-add=SETUID", "--cap-add=SETGID"),
        *("--env=IMG_SOURCE=http://example.org/a.qcow2", "--env=ACCEL=tcg", "--hostname=web-3"),
        *(f"--volume={tmp_path}:/pet", "--read-only", "--device=/dev/net/tun"),
    )
    done = once("bash", "-c", "berth plan --json", options=options)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["nat_backend"].startswith("nft: ")
    assert plan["qemu"][0] == "qemu-system-x86_64"
    assert list(tmp_path.iterdir()) == []
