"""Real processes, for tests of what starts and ends them."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.storage.conftest import Volume

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


def environment(
    volume: Volume, url: str, *, part: int = 16 << 20, **environ: str
) -> dict[str, str]:
    """What tests.storage.ensure needs. `part`: bytes that are fetched by one request."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(sys.path),
        "SHARED_DIR": str(volume.path),
        "IMG_SOURCE": url,
        "TEST_PART": str(part),
        **environ,
    }


@contextmanager
def ensuring(
    volume: Volume, url: str, *, part: int = 16 << 20
) -> Iterator["subprocess.Popen[str]"]:
    """`ensure()` in a process of its own, killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.storage.ensure"],
        env=environment(volume, url, part=part),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
