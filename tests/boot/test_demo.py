"""The demo as a newcomer meets it: its command, what it prints, and the command that it prints."""

import re
import shlex
import subprocess
import sys

from tests.demo.place import INTERFACE, NAMESPACE, place


def demo(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.demo", *words], capture_output=True, text=True
    )


def test_the_printed_command_logs_in_and_nothing_is_left_after_it() -> None:
    try:
        up = demo("up")
        assert up.returncode == 0, up.stderr
        printed = re.search(r"log in +(ssh .*?)\n +console ", up.stdout, re.DOTALL)
        assert printed, up.stdout
        # As a shell would take it, with its lines joined.
        command = shlex.split(printed[1].replace("\\\n", " "))
        login = subprocess.run([*command, "hostname"], capture_output=True, text=True, timeout=120)
        assert login.stdout == "demo-0\n", login.stderr
        again = demo("up")
        assert again.returncode != 0
        assert "runs already" in again.stderr
    finally:
        down = demo("down")
    assert down.returncode == 0, down.stderr
    assert NAMESPACE not in subprocess.check_output(["ip", "netns", "list"], text=True)
    assert INTERFACE not in subprocess.check_output(["ip", "link"], text=True)
    assert not place().folder.exists()
