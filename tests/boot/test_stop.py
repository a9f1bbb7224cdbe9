"""SIGTERM, the container's order to stop, and what guests make of it."""

import signal
from pathlib import Path

import pytest

from tests.boot import filesystem
from tests.boot.filesystem import Verdict
from tests.pods.run import Run
from tests.pods.vm import Pod

CLEAN = Verdict(is_clean=True, is_sound=True)
# The partition that the tiny guest writes to.
DATA = 3
NO_AGENT, DEAF = "# berth-no-agent", "# berth-ignore-acpi"
WRITE = "dd if=/dev/urandom of=/data/file bs=1k count=500 2>/dev/null"

SHOW = """\
ip -brief link; ip -4 -brief address; ip route; nft list ruleset
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/*/forwarding
"""


def booted(pod: Pod, *flaws: str, **settings: str) -> Run:
    """A guest with some of its ears stopped, and data that is not on its disk yet."""
    pod.write_userdata(*flaws)
    run = pod.boot(**settings)
    run.console.wait_for("^tiny login ready")
    pod.ssh(WRITE)
    return run


@pytest.mark.parametrize(
    ("flaws", "words"),
    [((), "the guest agent shuts the guest down"), ((NO_AGENT,), "pressing the power button")],
    ids=["agent", "power button"],
)
def test_the_guest_shuts_down(idle: Pod, tmp_path: Path, flaws: tuple[str], words: str) -> None:
    # What guests do by themselves and what they are told to do are two things.
    end = booted(idle, *flaws, ON_POWEROFF="stay").stop()
    assert (end.status, end.seconds < 30) == (0, True), end.log
    assert f"stopping: {words}\n" in end.log
    assert end.log.endswith("startvm: the guest has shut down\n")
    assert filesystem.judge(idle.disk, DATA, tmp_path) == CLEAN


def test_a_guest_that_does_not_listen_is_cut_off_in_time(idle: Pod, tmp_path: Path) -> None:
    run = booted(idle, NO_AGENT, DEAF, STOP_TIMEOUT="10")
    end = run.stop()
    assert (end.status, end.seconds < 10) == (70, True), end.log
    assert "did not shut down in time and was cut off (hint: raise STOP_TIMEOUT" in end.log
    # Which shows besides that a clean one is told from others.
    assert not filesystem.judge(idle.disk, DATA, tmp_path).is_clean


def test_a_second_order_hurries(idle: Pod) -> None:
    run = booted(idle, NO_AGENT, DEAF, STOP_TIMEOUT="600")
    run.process.send_signal(signal.SIGTERM)
    run.log.wait_for("pressing the power button")
    end = run.stop(timeout=30)
    assert end.status == 70, end.log
    assert "ending QEMU; the guest is cut off\n" in end.log


def test_a_guest_that_still_boots_shuts_down_too(idle: Pod) -> None:
    """It drops the first presses of its power button."""
    run = idle.start(STOP_TIMEOUT="120")
    run.log.wait_for("is running$")
    end = run.stop(timeout=120)
    assert end.status == 0, end.log


def test_nothing_of_it_is_left(idle: Pod) -> None:
    before = idle.site.pod.run("sh", "-c", SHOW)
    run = idle.start()
    run.log.wait_for("is running$")
    run.process.send_signal(signal.SIGTERM)
    run.log.wait_for("told to stop")
    assert run.stop().status == 70
    assert idle.site.pod.run("sh", "-c", SHOW) == before
