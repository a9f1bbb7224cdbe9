"""Real processes, for tests of what starts and ends them."""

import os
import select
from contextlib import suppress


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
