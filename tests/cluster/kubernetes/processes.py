"""Processes that outlive whoever started them, and are found again by what they carry.

Each has the cluster's folder in its environment. A process id in a file can belong to somebody else
by the time it is read, and a process that was started just before its starter was killed is in no
file; what a process carries in its environment is its own.
"""

import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubernetes.errors import ClusterError

MARK = "BERTH_CLUSTER_FOLDER"
ROLE = "BERTH_CLUSTER_ROLE"

# It takes microseconds. A process can also make its command line empty for good.
_TRIES = 1000

# Debian keeps runc, nft and iptables from the PATH of ordinary users.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Process:
    """`role` is what it was started as; a process that it started in turn has the same one."""

    pid: int
    parent: int
    role: str


def start(
    folder: Path,
    role: str,
    argv: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a program that goes on without us. Returns its process id.

    :param folder: the cluster's.
    :raise ClusterError: when there is no such program.
    """
    words = [os.fspath(word) for word in argv]
    program = shutil.which(words[0], path=PATH)
    if program is None:
        raise ClusterError(f"{words[0]}: no such program")
    given = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", **(environment or {})}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # Not subprocess: its objects complain when they are dropped while their program still runs.
    return os.posix_spawn(
        program,
        words,
        {**given, MARK: os.fspath(folder), ROLE: role},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.fspath(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def running(folder: Path) -> list[Process]:
    """All processes that carry this folder."""
    return [found for path in Path("/proc").iterdir() if (found := _read(path, folder))]


def _read(path: Path, folder: Path) -> Process | None:
    if not path.name.isdecimal():
        return None
    try:
        environment = _environment(path).split(b"\0")
        if f"{MARK}={folder}".encode() not in environment:
            return None
        parent = int((path / "stat").read_text().rpartition(") ")[2].split()[1])
    except (OSError, IndexError):
        return None
    prefix = f"{ROLE}=".encode()
    roles = (word.removeprefix(prefix) for word in environment if word.startswith(prefix))
    return Process(int(path.name), parent, next(roles, b"").decode())


def _environment(path: Path) -> bytes:
    """What a process in /proc carries.

    A process that just becomes another program has neither environment nor command line for a
    moment, and must not be overlooked then. Kernel threads, and what has ended and waits for its
    parent, have neither for good, and no program.

    :raise OSError: for these, and for a process that is gone.
    """
    for _ in range(_TRIES):
        command = (path / "cmdline").read_bytes()
        environment = (path / "environ").read_bytes()
        if environment or (command and command == (path / "cmdline").read_bytes()):
            return environment
        (path / "exe").readlink()
        os.sched_yield()
    return b""


def has_ended(pid: int) -> bool:
    """Whether a process that was started here is over."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def end_all(folder: Path, seconds: float = 60.0) -> None:
    """Kill every process that carries this folder, and wait until none is left.

    :raise ClusterError: when some are still there after that time.
    """
    deadline = time.monotonic() + seconds
    while found := running(folder):
        left = deadline - time.monotonic()
        if left <= 0:
            pids = ", ".join(f"{each.pid} ({each.role})" for each in found)
            raise ClusterError(f"processes of {folder} do not end: {pids}")
        _kill(found, folder, left)


def _kill(processes: Sequence[Process], folder: Path, seconds: float) -> None:
    with ExitStack() as stack:
        handles = []
        for each in processes:
            with suppress(ProcessLookupError):
                handle = os.pidfd_open(each.pid)
                stack.callback(os.close, handle)
                # The number may have passed on before we got a hold of it.
                if _read(Path(f"/proc/{each.pid}"), folder):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    handles.append(handle)
        deadline = time.monotonic() + seconds
        while handles and (left := deadline - time.monotonic()) > 0:
            over, _, _ = select.select(handles, [], [], left)
            handles = [handle for handle in handles if handle not in over]
    for each in processes:
        has_ended(each.pid)


def roles(processes: Sequence[Process]) -> Iterator[str]:
    """Each role once, in alphabetical order."""
    yield from sorted({each.role for each in processes})
