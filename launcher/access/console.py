"""The guest's serial console: where QEMU logs it, and attaching to it from a terminal."""

import errno
import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from launcher.access.outlet import Outlet
from launcher.host.errors import Busy, InputMissing, StorageError

# As `telnet` and `virsh console` have it: Ctrl and the key of the closing bracket.
DETACH = b"\x1d"
CHUNK = 65536

# With a script's input at its end, silence of this length is the end of the answer. Seconds.
LAST_ANSWER = 1.0

# How long a reader may take for the rest when we go. Seconds.
FAREWELL = 2.0


def socket_path(run_dir: Path) -> Path:
    return run_dir / "console.sock"


@contextmanager
def log_to_stdout() -> Iterator[int]:
    """A descriptor by which QEMU can write the console to our stdout.

    QEMU opens its log write-only and for appending, and looks for an inherited descriptor that
    was opened just so. Ours may be a terminal's, which is open for reading too, so it is opened
    anew.
    """
    try:
        fd = os.open("/proc/self/fd/1", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as err:
        if err.errno not in (errno.ENXIO, errno.EACCES):
            raise StorageError(f"stdout cannot be opened for the console: {err.strerror}") from err
        # A socket (systemd's journal, say) cannot be opened anew, nor a pipe that was not given to
        # the user we run as, so somebody has to carry.
        fd = _pipe_to_stdout()
    try:
        yield fd
    finally:
        os.close(fd)


def _pipe_to_stdout() -> int:
    """The writing end of a pipe whose other end is copied to stdout as long as anybody writes."""
    from threading import Thread

    reading, writing = os.pipe2(os.O_CLOEXEC)

    def carry() -> None:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            while data := pipe.read(CHUNK):
                _write_all(data)

    Thread(target=carry, name="console", daemon=True).start()
    return writing


def attach(run_dir: Path) -> None:
    """Connect this terminal to the console until ^] is typed or the VM ends; with a script for
    stdin, until its input has ended and the guest has answered.

    :raise InputMissing: when no VM runs here.
    :raise Busy: when somebody is attached already; QEMU serves one at a time.
    """
    with ExitStack() as stack:
        stack.enter_context(_alone(run_dir))
        end = stack.enter_context(socket.socket(socket.AF_UNIX))
        try:
            end.connect(str(socket_path(run_dir)))
        except OSError as err:
            raise InputMissing(
                f"no VM's console is at {socket_path(run_dir)}",
                hint="run this in the VM's container, while the VM is on",
            ) from err
        if sys.stdin.isatty():
            stack.enter_context(_raw_terminal())
            # Said when it is true: from here on each key is the guest's.
            print("attached to the console; ^] detaches", end="\r\n", file=sys.stderr)
        outlet = Outlet(gone=lambda: end.shutdown(socket.SHUT_RDWR))
        # A VM that ends with something of ours unread resets the connection. It is closed before
        # anything else that may take time: QEMU waits for us as long as it is open.
        with end, suppress(ConnectionError):
            _copy(end, outlet)
        outlet.flush(FAREWELL)
    if outlet.missed:
        print(f"too slow a reader: {outlet.missed} bytes are only in the log", file=sys.stderr)


def _copy(end: socket.socket, outlet: Outlet) -> None:
    sources: list[int] = [0, end.fileno()]
    patience: float | None = None
    while True:
        ready, _, _ = select.select(sources, [], [], patience)
        if not ready:
            return
        if end.fileno() in ready:
            received = end.recv(CHUNK)
            if not received:
                return
            outlet.write(received)
        if 0 in ready:
            typed = os.read(0, CHUNK)
            before, detach, _ = typed.partition(DETACH)
            end.sendall(before)
            if detach:
                return
            if not typed:
                # A script's input has ended; the guest's answer to it may still come.
                sources.remove(0)
                patience = LAST_ANSWER


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


@contextmanager
def _alone(run_dir: Path) -> Iterator[None]:
    """Hold the console's lock: a second client of QEMU's socket would wait there for ever."""
    import fcntl

    try:
        lock = (run_dir / "console.lock").open("a")
    except FileNotFoundError as err:
        raise InputMissing(
            f"there is no VM at {run_dir}", hint="run this in the VM's container"
        ) from err
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise Busy("somebody is attached to the console already") from err
        yield


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Each key goes to the guest as it is, Ctrl-C too."""
    before = termios.tcgetattr(0)
    # Nothing is dropped that was typed meanwhile.
    tty.setraw(0, termios.TCSADRAIN)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        print(file=sys.stderr)
