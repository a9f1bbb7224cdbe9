"""Run a program to its end, or start one and own it: the two doors to subprocesses.

Both take a list, never a shell string; both give the program a built environment and no stdin of
ours, so that what it does depends on its arguments alone.
"""

import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, NoReturn

from launcher.host.account import Account, assumed, wrap
from launcher.host.errors import CommandFailed, InputMissing, StorageError

# C.UTF-8: messages are matched and logged, so they must not depend on the node's language.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/",
}


# What a program says is kept up to here. A hostile image can make one complain for ever.
MOST_OUTPUT = 1 << 20


class Limits(NamedTuple):
    """What a program that reads hostile input may take: address space (bytes), CPU (seconds), and
    bytes of the largest file it may write, if it may write any; None for any size.
    """

    address_space: int
    cpu_seconds: int
    file_size: int | None = 0

    def wrap(self, argv: Sequence[str]) -> list[str]:
        return [
            _find("prlimit"),
            f"--as={self.address_space}",
            f"--cpu={self.cpu_seconds}",
            *([] if self.file_size is None else [f"--fsize={self.file_size}"]),
            # No memory of a stranger's making is left on a disk.
            "--core=0",
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
    account: Account | None = None,
) -> Result:
    """Run `argv` to its end and return what it said, about 1 MiB of it at most.

    :param timeout: seconds after which the program is killed.
    :param success: the exit statuses that are not a failure.
    :param account: the user it runs as; None for our own.
    :raise CommandFailed: for any other status.
    :raise InputMissing: when the program is not installed.
    :raise StorageError: when it did not end in time.
    """
    program = [_find(argv[0]), *argv[1:]]
    full = limits.wrap(program) if limits else program
    if account:
        full = [_find("setpriv"), *wrap(account), "--", *full]
    with subprocess.Popen(
        full,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as popen:
        try:
            stdout, stderr = _talk(popen, stdin.encode(), timeout)
        except subprocess.TimeoutExpired as err:
            raise StorageError(f"{argv[0]} did not end within {timeout:.0f} s") from err
        finally:
            # Whatever interrupts us, an order to stop say, ends the program too.
            _send(popen, signal.SIGKILL, account)
    if popen.returncode not in success:
        raise CommandFailed(argv, popen.returncode, stderr)
    return Result(popen.returncode, stdout, stderr)


def _talk(popen: "subprocess.Popen[bytes]", stdin: bytes, timeout: float) -> tuple[str, str]:
    """As Popen.communicate, but for what is beyond MOST_OUTPUT: it is read and thrown away."""
    deadline = time.monotonic() + timeout
    said = {each.fileno(): bytearray() for each in (popen.stdout, popen.stderr) if each}
    with selectors.PollSelector() as waiting:
        if popen.stdin:
            waiting.register(popen.stdin, selectors.EVENT_WRITE)
        for fd in said:
            waiting.register(fd, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(0.0, deadline - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(popen.args, timeout)
            for key, _ in ready:
                if popen.stdin and key.fileobj is popen.stdin:
                    with suppress(BrokenPipeError):
                        stdin = stdin[os.write(key.fd, stdin[: select.PIPE_BUF]) :]
                        if stdin:
                            continue
                    waiting.unregister(popen.stdin)
                    popen.stdin.close()
                elif not (data := os.read(key.fd, 1 << 16)):
                    waiting.unregister(key.fd)
                elif len(said[key.fd]) < MOST_OUTPUT:
                    said[key.fd] += data
    popen.wait(max(0.0, deadline - time.monotonic()))
    stdout, stderr = (text.decode(errors="replace") for text in said.values())
    return stdout, stderr


def _send(popen: "subprocess.Popen[Any]", number: signal.Signals, account: Account | None) -> None:
    """Send a signal to a program that runs as `account`, if it still runs."""
    if popen.poll() is None:
        with assumed(account):
            popen.send_signal(number)


class Child:
    """A program that we started and own. `stderr` is the read end of its stderr, if asked for."""

    def __init__(
        self, name: str, popen: "subprocess.Popen[bytes]", account: Account | None = None
    ) -> None:
        self.name = name
        self.pid = popen.pid
        # Readable once the program has ended: what an event loop waits for. Unlike a SIGCHLD
        # handler it cannot take the exit status of somebody else's child.
        self.pidfd = os.pidfd_open(popen.pid)
        self.stderr: int | None = popen.stderr.fileno() if popen.stderr else None
        self._popen = popen
        self._account = account

    def status(self) -> int | None:
        """The exit status (negative: the signal it died of), or None while it runs."""
        return self._popen.poll()

    def send(self, number: signal.Signals) -> None:
        _send(self._popen, number, self._account)

    def stop(self, grace: float) -> int:
        """End it: SIGTERM, SIGKILL after `grace` seconds. Returns its exit status."""
        self.send(signal.SIGTERM)
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
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
    limits: Limits | None = None,
    account: Account | None = None,
) -> Iterator[Child]:
    """Start `argv` in the foreground of our own process tree; it ends with the context.

    The kernel kills it when we die, even of SIGKILL: a QEMU that outlived its launcher would hold
    the pet's lock for ever. (A program of another user is only killed if we have the capability
    KILL. In a container without it, the end of the first process kills all others, us or not.)
    What it prints to stdout goes to our stderr, since our stdout belongs to the guest's console.

    :param account: the user it runs as; None for our own.
    :raise InputMissing: when the program is not installed.
    """
    program = [_find(argv[0]), *argv[1:]]
    popen = subprocess.Popen(
        # setpriv sets the signal last: the kernel forgets it when a process changes who it is.
        [
            _find("setpriv"),
            *wrap(account),
            *("--pdeathsig", "KILL", "--"),
            *(limits.wrap(program) if limits else program),
        ],
        stdin=subprocess.DEVNULL,
        stdout=2,
        stderr=subprocess.PIPE if capture_stderr else None,
        pass_fds=tuple(pass_fds),
        env=ENVIRONMENT,
        # Ctrl-C on a terminal is for us to turn into an orderly stop, not for QEMU.
        process_group=0,
    )
    child = Child(name, popen, account)
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
