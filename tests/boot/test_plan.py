"""`berth plan`: true, and without any effect."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.boot.conftest import Up
from tests.pods.run import END_PATIENCE
from tests.pods.vm import Pod

# Of IPv6 nothing: the kernel itself goes on with it for seconds after a link came up.
SHOW = """\
ip -brief link; ip -4 address; ip -4 rule; ip -4 route show table all
nft --stateless list ruleset
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding
"""


def everything(pod: Pod) -> str:
    """The pod's network and all that is on its volumes, to the time of each change."""
    files = []
    for path in sorted(pod.folder.rglob("*")):
        status = path.lstat()
        # A guest that runs writes to its disk whenever it likes.
        changed = 0 if path == pod.disk and pod.runs else status.st_mtime_ns
        files.append(f"{path} {status.st_mode:o} {status.st_ino} {changed}")
    return pod.site.pod.run("sh", "-c", SHOW) + "\n".join(files)


def sections(text: str) -> dict[str, str]:
    """The plan's sections by their titles."""
    parts = ("\n" + text).split("\n# ")[1:]
    return dict(part.split("\n", 1) for part in parts)


def test_it_touches_nothing_before_the_first_start(idle: Pod) -> None:
    before = everything(idle)
    told = sections(idle.berth("plan").stdout)
    assert told["image"].startswith(f"fetch {idle.image} to ")
    assert told["pet"] == f"make the pet {idle.disk} on the base, once it is fetched\n"
    assert everything(idle) == before
    assert not idle.run_dir.exists()


def test_it_touches_nothing_of_a_vm_that_runs(up: Up) -> None:
    before = everything(up.pod)
    told = json.loads(up.pod.berth("plan", "--json", "--", "-m", "300").stdout)
    assert everything(up.pod) == before
    assert told["pet"] == [f"use the pet {up.pod.disk}"]
    assert (told["qemu"][0], told["qemu"][-2:]) == ("qemu-system-x86_64", ["-m", "300"])
    conf = str(up.pod.run_dir / "dnsmasq.conf")
    assert set(told["files"]) >= {conf}
    assert told["dnsmasq"] == ["dnsmasq", f"--conf-file={conf}"]


def test_it_refuses_what_startvm_refuses(idle: Pod) -> None:
    settings = {"VM_IP": "10.0.0.9", "ACCEL": "warp"}
    planned = idle.berth("plan", check=False, **settings)
    started = idle.start(**settings).wait()
    assert planned.returncode == started.status == 78
    assert planned.stderr.removeprefix("berth: ") == started.log.removeprefix("startvm: error: ")


def test_what_it_prints_does_by_hand_what_startvm_does(idle: Pod) -> None:
    """Everything a person would paste into a shell: links, rules, dnsmasq, QEMU; then `cont`."""
    run = idle.start(STOP_TIMEOUT="2")
    run.log.wait_for("is running$")
    run.stop()
    (idle.run_dir / "dnsmasq.conf").unlink()

    told = sections(idle.berth("plan").stdout)
    pod = idle.site.pod
    pod.run("sh", "-ex", stdin=told["links"])
    rules = next(text for title, text in told.items() if title.startswith("address translation"))
    pod.run("nft", "-f", "-", stdin=rules)
    config = idle.run_dir / "dnsmasq.conf"
    config.write_text(told[str(config)], encoding="utf-8")
    qemu = next(text for title, text in told.items() if title.startswith("QEMU"))
    enter = ["ip", "netns", "exec", pod.name]
    with process(*enter, "dnsmasq", f"--conf-file={config}"), process(*enter, "sh", "-c", qemu):
        monitor(idle, "qmp_capabilities", "cont")
        idle.client.wait()
        assert idle.ssh("hostname") == "web-3"
        monitor(idle, "qmp_capabilities", "quit")


@contextmanager
def process(*argv: str) -> Iterator[None]:
    running = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
    )
    try:
        yield
    finally:
        os.killpg(running.pid, 15)
        running.wait(END_PATIENCE)


def monitor(pod: Pod, *commands: str) -> None:
    """Give commands to the QEMU that was started by hand."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(END_PATIENCE)
        for _ in range(600):
            try:
                end.connect(str(pod.run_dir / "monitor.sock"))
                break
            except OSError:
                time.sleep(0.05)
        with end.makefile("r") as answers:
            assert "QMP" in answers.readline()
            for command in commands:
                end.sendall(json.dumps({"execute": command}).encode())
                while "return" not in (answer := json.loads(answers.readline())):
                    assert "event" in answer, answer
