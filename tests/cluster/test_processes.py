"""Processes are found by what they carry."""

import os
import signal
from pathlib import Path

from tests.cluster.kubernetes import processes
from tests.cluster.kubernetes.processes import MARK, PATH, ROLE

# It becomes itself again as often as it is told, and then waits.
AGAIN = 'if [ "$1" -gt 0 ]; then exec sh -c "$0" "$0" $(($1 - 1)); fi; exec sleep infinity'
TIMES = 2000


def test_one_that_becomes_another_program_is_always_found(tmp_path: Path) -> None:
    environment = {MARK: os.fspath(tmp_path), ROLE: "changeling", "PATH": PATH}
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", AGAIN, AGAIN, str(TIMES)], environment)
    try:
        command = Path(f"/proc/{pid}/cmdline")
        while not command.read_bytes().startswith(b"sleep"):
            assert [each.pid for each in processes.running(tmp_path)] == [pid]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
