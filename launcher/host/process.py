"""Run a program to its end, or start one and own it: the two doors to subprocesses.

Both take a list, never a shell string; both give the program a built environment and no stdin of
ours, so that what it does depends on its arguments alone.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from launcher.host.errors import CommandFailed, InputMissing, StorageError

# C.UTF-8: messages are matched and logged, so they must not depend on the node's language.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}


class Limits(NamedTuple):
    """What a program that reads hostile input may take: address space (bytes), CPU (seconds)."""

    address_space: int
    cpu_seconds: int

    def wrap(self, argv: Sequence[str]) -> list[str]:
        return [
            _find("prlimit"),
            f"--as={self.address_space}",
            f"--cpu={self.cpu_seconds}",
            "--",
            *argv,
        ]


class Result(NamedTuple):
    status: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout: float = 60.0,
    success: Sequence[int] = (0,),
    limits: Limits | None = None,
) -> Result:
    """Run `argv` to its end and return what it said.

    :param timeout: seconds after which the program is killed.
    :param success: the exit statuses that are not a failure.
    :raise CommandFailed: for any other status.
    :raise InputMissing: when the program is not installed.
    :raise StorageError: when it did not end in time.
    """
    program = [_find(argv[0]), *argv[1:]]
    full = limits.wrap(program) if limits else program
    try:
        done = subprocess.run(
            full,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=ENVIRONMENT,
        )
    except subprocess.TimeoutExpired as err:
        raise StorageError(f"{argv[0]} did not end within {timeout:.0f} s") from err
    if done.returncode not in success:
        raise CommandFailed(argv, done.returncode, done.stderr)
    return Result(done.returncode, done.stdout, done.stderr)


class Child:
    """A program that we started and own. `stderr` is the read end of its stderr, if asked for."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]") -> None:
        self.name = name
        self.pid = popen.pid
        # Readable once the program has ended: what an event loop waits for. Unlike a SIGCHLD
        # handler it cannot take the exit status of somebody else's child.
        self.pidfd = os.pidfd_open(popen.pid)
        self.stderr: int | None = popen.stderr.fileno() if popen.stderr else None
        self._popen = popen

    def status(self) -> int | None:
        """The exit status (negative: the signal it died of), or None while it runs."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self, grace: float) -> int:
        """End it: SIGTERM, SIGKILL after `grace` seconds. Returns its exit status."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(grace)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        return self._popen.wait()

    def close(self) -> None:
        os.close(self.pidfd)
        if self._popen.stderr:
            self._popen.stderr.close()


@contextmanager
def spawn(
    name: str,
    argv: Sequence[str],
    *,
    pass_fds: Sequence[int] = (),
    capture_stderr: bool = False,
    grace: float = 2.0,
) -> Iterator[Child]:
    """Start `argv` in the foreground of our own process tree; it ends with the context.

    The kernel kills it when we die, even of SIGKILL: a QEMU that outlived its launcher would hold
    the pet's lock for ever. What it prints to stdout goes to our stderr, since our stdout belongs
    to the guest's console.

    :raise InputMissing: when the program is not installed.
    """
    popen = subprocess.Popen(
        [_find("setpriv"), "--pdeathsig", "KILL", "--", _find(argv[0]), *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=2,
        stderr=subprocess.PIPE if capture_stderr else None,
        pass_fds=tuple(pass_fds),
        env=ENVIRONMENT,
        # Ctrl-C on a terminal is for us to turn into an orderly stop, not for QEMU.
        process_group=0,
    )
    child = Child(name, popen)
    try:
        yield child
    finally:
        child.stop(grace)
        child.close()


def _find(program: str) -> str:
    """The full path of a program. setpriv and prlimit would tell that it is missing by nothing but
    an exit status, and only after they have been started.

    :raise InputMissing: when it is not installed.
    """
    folders = ENVIRONMENT["PATH"].split(":")
    for path in [program] if "/" in program else [f"{each}/{program}" for each in folders]:
        if os.access(path, os.X_OK):
            return path
    raise InputMissing(f"the program {program} is not installed")


def replace(argv: Sequence[str]) -> NoReturn:
    """Become `argv`, in the environment that we were given ourselves."""
    os.execvp(argv[0], list(argv))
