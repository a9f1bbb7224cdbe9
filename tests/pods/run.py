"""One run of startvm, from its start to its end."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.pods.output import Output

QEMU = "qemu-system-x86_64"
# The kernel keeps 15 bytes of a program's name.
COMM_LENGTH = 15
END_PATIENCE = 60.0


@dataclass(frozen=True)
class End:
    """`seconds` from the signal to the end of startvm; `log` is all of its own lines."""

    status: int
    seconds: float
    log: str


@dataclass
class Run:
    """One run of startvm. `console` is its stdout, the guest's serial console; `log` its stderr."""

    process: "subprocess.Popen[bytes]"
    console: Output
    log: Output
    begun: float

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, timeout: float = END_PATIENCE) -> End:
        """Wait for the end of startvm and of all that it started."""
        begun = time.monotonic()
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout:g} s:\n{self.log.tail}") from None
        seconds = time.monotonic() - begun
        for output in (self.console, self.log):
            assert output.wait_for_end(), "what startvm started outlives it"
        return End(status, seconds, self.log.text)

    def stop(self, timeout: float = END_PATIENCE) -> End:
        """Stop it as a container is stopped."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> End:
        self.process.send_signal(signal.SIGKILL)
        return self.wait()

    def child(self, program: str) -> int:
        """The process id of a program that startvm started."""
        ours = (each for each in _processes() if each.parent == self.process.pid)
        pids = [each.pid for each in ours if each.name == program[:COMM_LENGTH]]
        assert len(pids) == 1, f"{len(pids)} times {program} below startvm:\n{self.log.tail}"
        return pids[0]

    @property
    def qemu(self) -> int:
        return self.child(QEMU)

    def end_all(self) -> None:
        """End it if it still runs, and what should have ended with it and did not."""
        if self.is_alive:
            self.process.kill()
            self.process.wait(END_PATIENCE)
        for each in _processes():
            if each.session == self.process.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)


class Process(NamedTuple):
    """Numbers as in proc(5); `name` is cut to `COMM_LENGTH`."""

    pid: int
    name: str
    parent: int
    session: int


def _processes() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            before, _, after = (folder / "stat").read_text().rpartition(") ")
            _, parent, _, session, *_ = after.split()
            name = before.partition(" (")[2]
            yield Process(int(folder.name), name, int(parent), int(session))
