"""The demo as a newcomer meets it: its command, what it prints, and the commands that it prints."""

import re
import subprocess
from collections.abc import Iterator
from os import environ
from pathlib import Path

import pytest

from tests.boot.terminal import DETACH, terminal
from tests.cluster.kubernetes import cluster
from tests.cluster.kubernetes.cluster import DEFAULT
from tests.cluster.release import wait_until
from tests.cluster.test_vnc import viewing
from tests.demo.place import place

CHECKOUT = Path(__file__).parents[2]
# Seconds for one command; the first of them all may have to build an image.
PATIENCE = 600.0

# One that is added to the demo is to be run here, too.
LABELS = ["log in", "console", "screen", "its boot", "three", "again", "test it", "end it"]


def printed(output: str, label: str) -> str:
    """The command after a label, without a remark in brackets."""
    found = re.search(rf"^  {label} +((?:.*\\\n)*.*)$", output, re.MULTILINE)
    assert found, output
    return re.sub(r"     \(.*$", "", found[1])


def attempt(command: str) -> "subprocess.CompletedProcess[str]":
    """Paste a command into a shell."""
    shell = ["sh", "-c", command]
    return subprocess.run(shell, capture_output=True, text=True, timeout=PATIENCE, cwd=CHECKOUT)


def run(command: str) -> str:
    done = attempt(command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def type_at_console(command: str) -> None:
    """Paste it into a terminal, type to the guest, and leave by the keys that are told."""
    with terminal(["sh", "-c", f"cd '{CHECKOUT}' && {command}"], environ) as person:
        person.wait_for(rb"attached to the console; \^\] detaches")
        person.type(b"echo $((6 * 7)) from $(hostname)\r")
        person.wait_for(rb"\r\n42 from demo-0\r\n")
        person.type(DETACH)
        assert person.wait() == 0


def look_at_screen(output: str) -> None:
    """With the address and the password that are told."""
    told = re.search(r"a VNC viewer at (\S+):(\d+), with", output)
    assert told, output
    password = run(printed(output, "screen .*\\n")).encode()
    with viewing(told[1], password, int(told[2])) as viewer:
        assert viewer.screen.name == "QEMU (demo-0)"


def addresses(output: str) -> dict[str, str]:
    """Of the pods that have one, by the command in the brackets."""
    told = re.search(r"its address may not:\s+(.*)\)$", output, re.MULTILINE)
    assert told, output
    pods = re.findall(r"^(\S+) .*? (\d+(?:\.\d+){3}) ", run(told[1]), re.MULTILINE)
    return dict(pods)


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # `./dev cluster kubectl` would go by it.
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if cluster.find(DEFAULT):
        pytest.skip("`./dev cluster` or `./dev demo` is up, and this test would end it")
    yield
    cluster.down(DEFAULT)


@pytest.mark.usefixtures("nothing_there")
def test_the_printed_commands_work_and_nothing_is_left_after_them() -> None:
    said = run("./dev demo")
    assert re.findall(r"^  (\S+(?: \S+)*?)  +\S", said, re.MULTILINE) == LABELS
    log_in = printed(said, "log in")
    first = log_in.split("@")[1]
    assert run(f"{log_in} hostname") == "demo-0\n"
    assert "demo-0 is running" in run(printed(said, "its boot"))
    type_at_console(printed(said, "console"))
    look_at_screen(said)

    run(printed(said, "three"))
    # It waits for all of them.
    run(printed(said, "test it"))
    where = addresses(said)
    assert where["demo-0"] == first
    for pod in ("demo-1", "demo-2"):
        assert run(f"{log_in.replace(first, where[pod])} hostname") == f"{pod}\n"

    run(f"{log_in} touch /data/mine")
    run(printed(said, "again"))

    def is_back() -> bool:
        there = addresses(said).get("demo-0")
        listing = f"{log_in.replace(first, there)} ls /data" if there else "false"
        return "mine" in attempt(listing).stdout

    wait_until(is_back)
    second = attempt("./dev demo")
    assert second.returncode != 0
    assert "runs already" in second.stderr
    run(printed(said, "end it"))
    assert cluster.find(DEFAULT) is None
    assert not place().folder.exists()
