"""The demo as a newcomer meets it: its command, what it prints, and the commands that it prints."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.cluster.kubernetes import cluster
from tests.demo.place import place

CHECKOUT = Path(__file__).parents[2]


def demo(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.demo", *words], capture_output=True, text=True
    )


def printed(output: str, label: str) -> str:
    """The command after a label, its lines joined as a shell would join them."""
    found = re.search(rf"^  {label} +((?:.*\\\n)*.*)$", output, re.MULTILINE)
    assert found, output
    return re.sub(r"     \(.*\)$", "", found[1].replace("\\\n", " "))


def run(command: str) -> str:
    done = subprocess.run(
        shlex.split(command), capture_output=True, text=True, timeout=120, cwd=CHECKOUT
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_printed_commands_work_and_nothing_is_left_after_them() -> None:
    try:
        up = demo("up")
        assert up.returncode == 0, up.stderr
        assert run(f"{printed(up.stdout, 'log in')} hostname") == "demo-0\n"
        assert "demo-0 is running" in run(printed(up.stdout, "its boot"))
        run(printed(up.stdout, "test it"))
        again = demo("up")
        assert again.returncode != 0
        assert "runs already" in again.stderr
    finally:
        down = demo("down")
    assert down.returncode == 0, down.stderr
    assert cluster.find("demo") is None
    assert not place().folder.exists()
