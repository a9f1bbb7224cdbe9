"""A person at a terminal: a program on a pseudo terminal, typed to and read from."""

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.pods.vm import COMMANDS, Pod

DETACH = b"\x1d"
CONSOLE = (str(COMMANDS / "berth"), "console")
PATIENCE = 60.0


@dataclass
class Terminal:
    process: "subprocess.Popen[bytes]"
    master: int
    seen: bytearray = field(default_factory=bytearray)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for(self, pattern: bytes) -> "re.Match[bytes]":
        """Wait until what is on the terminal has a match of a regular expression."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, bytes(self.seen))):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.master], [], [], max(0.0, left))
            assert ready, f"no {pattern!r} within {PATIENCE:g} s in {bytes(self.seen)!r}"
            self.seen += os.read(self.master, 4096)
        return found

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    @property
    def echoes(self) -> bool:
        """Whether the terminal is as terminals usually are, and not raw."""
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)


@contextmanager
def terminal(argv: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a program on a terminal of its own; it is killed if it is still there at the end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    try:
        # The slave's end stays open here, so that what is left can be read after the program.
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        os.close(master)


@contextmanager
def attached(pod: Pod) -> Iterator[Terminal]:
    """A person at the guest's serial console."""
    with terminal(pod.command(*CONSOLE), pod.environment) as made:
        made.wait_for(rb"attached to the console; \^\] detaches")
        yield made
