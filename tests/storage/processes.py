"""Real processes, for tests of what starts and ends them."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def wait_for_end(pid: int, timeout: float = 10) -> None:
    """Wait until a process that need not be our child is gone; zombies of nobody count as gone."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            ready, _, _ = select.select([pidfd], [], [], timeout)
            assert ready, f"process {pid} lives on"
        finally:
            os.close(pidfd)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def assert_child_dies_with(script: str) -> None:
    """Run a Python script that says its child's pid on stderr, kill it, and see the child end."""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with parent:
        assert parent.stderr
        child = int(parent.stderr.readline())
        assert is_alive(child)
        parent.kill()
        wait_for_end(child)
