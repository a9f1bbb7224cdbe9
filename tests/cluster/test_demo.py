"""The demo as a newcomer meets it: its command, what it prints, and the commands that it prints."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.kubernetes import cluster
from tests.cluster.kubernetes.cluster import DEFAULT
from tests.cluster.release import wait_until
from tests.demo.place import place

CHECKOUT = Path(__file__).parents[2]
ADDRESS = "./dev cluster kubectl get pod demo-0 -o jsonpath={.status.podIP}"


def demo(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.demo", *words], capture_output=True, text=True
    )


def printed(output: str, label: str) -> str:
    """The command after a label, without a remark in brackets."""
    found = re.search(rf"^  {label} +((?:.*\\\n)*.*)$", output, re.MULTILINE)
    assert found, output
    return re.sub(r"     \(.*$", "", found[1])


def attempt(command: str) -> "subprocess.CompletedProcess[str]":
    """Paste a command into a shell."""
    shell = ["sh", "-c", command]
    return subprocess.run(shell, capture_output=True, text=True, timeout=300, cwd=CHECKOUT)


def run(command: str) -> str:
    done = attempt(command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def nothing_there() -> Iterator[None]:
    if cluster.find(DEFAULT):
        pytest.skip("`./dev cluster` or `./dev demo` is up, and this test would end it")
    yield
    cluster.down(DEFAULT)


@pytest.mark.usefixtures("nothing_there")
def test_the_printed_commands_work_and_nothing_is_left_after_them() -> None:
    up = demo("up")
    assert up.returncode == 0, up.stderr
    log_in = printed(up.stdout, "log in")
    assert run(f"{log_in} hostname") == "demo-0\n"
    assert "demo-0 is running" in run(printed(up.stdout, "its boot"))
    assert len(run(printed(up.stdout, "screen .*\\n"))) == 8
    run(printed(up.stdout, "test it"))
    run(f"{log_in} touch /data/mine")
    run(printed(up.stdout, "again"))
    wait_until(lambda: run(ADDRESS) != "")
    there = log_in.replace(log_in.split("@")[1], run(ADDRESS))
    wait_until(lambda: "mine" in attempt(f"{there} ls /data").stdout)
    again = demo("up")
    assert again.returncode != 0
    assert "runs already" in again.stderr
    down = demo("down")
    assert down.returncode == 0, down.stderr
    assert cluster.find(DEFAULT) is None
    assert not place().folder.exists()
