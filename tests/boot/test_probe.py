"""Kubernetes' questions, asked of real VMs in every state they may be in."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.boot.conftest import Up
from tests.boot.test_policies import tell
from tests.boot.test_stop import NO_AGENT
from tests.pods.container import QEMU_USER, Rights
from tests.pods.vm import COMMANDS, Pod
from tests.storage.http_server import Hold, Reply, Server

# Seconds of CPU for one probe. Measured here it is about a third of that.
CHEAP = 0.15
PATIENCE = 60.0


def probe(pod: Pod, *words: str) -> tuple[bool, str]:
    """The answer, and why."""
    done = pod.berth("probe", *words, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    return done.returncode == 0, done.stdout.rstrip("\n")


def probes(pod: Pod) -> dict[str, bool]:
    return {word: probe(pod, word)[0] for word in ("startup", "ready", "alive")}


def wait_for(pod: Pod, wanted: tuple[bool, str], *words: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while (answer := probe(pod, *words)) != wanted:
        assert time.monotonic() < deadline, answer


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_vm_that_runs(up: Up) -> None:
    assert probes(up.pod) == {"startup": True, "ready": True, "alive": True}
    assert probe(up.pod, "ready", "--agent") == (True, "running, and the guest agent answers")
    # Again, and the console beside it: QEMU serves the agent's clients one after another.
    assert probe(up.pod, "--agent", "ready")[0]


def test_it_is_cheap(up: Up) -> None:
    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    costs = []
    for argv in (["true"], [str(COMMANDS / "berth"), "probe", "alive"]) * 5:
        before = spent()
        up.pod.exec(*argv)
        costs.append(spent() - before)
    assert min(costs[1::2]) - min(costs[::2]) < CHEAP


def test_a_qemu_that_hangs_is_not_alive(up: Up) -> None:
    with stopped(up.run.qemu):
        begun = time.monotonic()
        assert probe(up.pod, "alive") == (False, "QEMU's monitor does not answer")
        assert time.monotonic() - begun < 6
        assert probe(up.pod, "ready") == (False, "QEMU's monitor does not answer")
        assert probe(up.pod, "startup")[0]
    wait_for(up.pod, (True, "running"), "ready")


def test_a_startvm_that_hangs_is_not_alive(up: Up) -> None:
    with stopped(up.run.process.pid):
        assert probe(up.pod, "alive") == (False, "startvm does not answer in time")
    wait_for(up.pod, (True, "running"), "alive")


def test_words_that_are_not_understood(up: Up) -> None:
    for words in (["probe"], ["probe", "dead"], ["probe", "ready", "--console"]):
        done = up.pod.berth(*words, check=False)
        assert (done.returncode, "Usage: berth probe" in done.stderr) == (2, True)


def test_from_the_first_byte_of_the_image_to_the_end(idle: Pod, server: Server) -> None:
    """As root without any capability to override modes, and on a read-only root."""
    idle.open = True
    idle.rights = Rights(("net_admin", "mknod", "setuid", "setgid", "chown"), read_only=True)
    idle.site.pod.sysctl(ipv4__ip_unprivileged_port_start=0)
    assert probe(idle, "alive")[0] is False
    idle.write_userdata(NO_AGENT)
    hold = Hold()
    source = server.serve("/image.qcow2", Reply(idle.image.read_bytes(), hold=hold))
    settings = {"QEMU_USER": QEMU_USER, "IMG_SOURCE": source, "ON_POWEROFF": "stay"}
    run = idle.start(**settings)
    assert hold.reached.wait(60), run.log.tail
    words = f"starting: fetching IMG_SOURCE={source}"
    assert probe(idle, "alive") == (True, words)
    assert probe(idle, "startup") == (False, words)
    assert probe(idle, "ready") == (False, words)
    # More often than there is room for those who wait.
    for _ in range(20):
        assert probe(idle, "alive")[0]
    hold.go.set()
    idle.wait_for_ssh(run)
    assert probes(idle) == {"startup": True, "ready": True, "alive": True}
    said = "running, but the guest agent does not answer"
    assert probe(idle, "ready", "--agent") == (False, said)
    tell(idle, run, "poweroff")
    run.log.wait_for("the VM stays off")
    off = "off: the guest powered itself off; ON_POWEROFF=stay"
    assert probe(idle, "alive") == (True, off)
    assert probe(idle, "startup") == (True, off)
    assert probe(idle, "ready") == (False, off)
    assert run.stop().status == 0
    assert probes(idle) == {"startup": False, "ready": False, "alive": False}
    assert not (idle.run_dir / "control.sock").exists()
