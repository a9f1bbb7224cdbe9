"""The guest's console, attached to from terminals and scripts; the guest is a socket of our own."""

import fcntl
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.access.console import attach, log_to_stdout, socket_path
from launcher.host.errors import Busy, InputMissing
from tests.boot.terminal import Terminal, terminal

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

# The second argument is the silence, in seconds, that ends an answer.
ATTACH = (
    "import sys; from pathlib import Path; from launcher.access import console\n"
    "console.LAST_ANSWER = float(sys.argv[2])\n"
    "console.attach(Path(sys.argv[1]))\n"
)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket QEMU would listen on."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(socket_path(tmp_path)))
        listening.listen()
        listening.settimeout(PATIENCE)
        yield listening


@contextmanager
def attached(run_dir: Path, guest: socket.socket) -> Iterator[tuple[Terminal, socket.socket]]:
    """A person at the console, and the guest's end of it."""
    argv = [sys.executable, "-c", ATTACH, str(run_dir), "60"]
    with terminal(argv, {"PYTHONPATH": str(ROOT)}) as person:
        serial, _ = guest.accept()
        with serial:
            serial.settimeout(PATIENCE)
            person.wait_for(rb"\^\] detaches\r\n")
            yield person, serial


def receive(serial: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (more := serial.recv(count - len(received))):
        received += more
    return received


def test_what_is_typed_and_what_is_printed(tmp_path: Path, guest: socket.socket) -> None:
    with attached(tmp_path, guest) as (person, serial):
        # Ctrl-C, Ctrl-Z, Ctrl-D and the arrows are the guest's.
        keys = b"ls\r\x03\x1a\x04\x1b[A\xc3\xbc"
        person.type(keys)
        assert receive(serial, len(keys)) == keys
        serial.sendall(b"login: \xc3\xbc\r\n")
        person.wait_for(b"login: \xc3\xbc\r\n")
        assert not person.echoes


def test_detaching(tmp_path: Path, guest: socket.socket) -> None:
    with attached(tmp_path, guest) as (person, serial):
        person.type(b"abc\x1ddef")
        assert person.wait() == 0
        assert person.echoes
        # What was typed before it is the guest's, what was typed after it is not.
        assert receive(serial, 100) == b"abc"


def test_end_of_the_vm(tmp_path: Path, guest: socket.socket) -> None:
    with attached(tmp_path, guest) as (person, serial):
        serial.sendall(b"reboot: Power down\r\n")
        serial.close()
        assert person.wait() == 0
        person.wait_for(b"Power down")
        assert person.echoes


def test_end_of_a_vm_that_did_not_read(tmp_path: Path, guest: socket.socket) -> None:
    with attached(tmp_path, guest) as (person, serial):
        person.type(b"abc")
        # Until it is there to be read; it is not read, so the connection is reset.
        assert serial.recv(1, socket.MSG_PEEK) == b"a"
        serial.close()
        assert person.wait() == 0
        assert person.echoes
        assert b"Traceback" not in person.seen


def test_one_at_a_time(tmp_path: Path, guest: socket.socket) -> None:
    with attached(tmp_path, guest) as (person, _):
        with pytest.raises(Busy, match="somebody is attached to the console already"):
            attach(tmp_path)
        person.type(b"\x1d")
        assert person.wait() == 0
    with attached(tmp_path, guest):
        pass


def test_nobody_is_kept_out_by_one_who_was_killed(tmp_path: Path, guest: socket.socket) -> None:
    with attached(tmp_path, guest) as (person, _):
        person.process.kill()
        person.wait()
    with attached(tmp_path, guest):
        pass


def test_where_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="there is no VM at"):
        attach(tmp_path / "missing")
    with pytest.raises(InputMissing, match="no VM's console is at"):
        attach(tmp_path)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(socket_path(tmp_path)))
    with pytest.raises(InputMissing, match="no VM's console is at"):
        attach(tmp_path)


def script(run_dir: Path, silence: float) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-c", ATTACH, str(run_dir), str(silence)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(argv, stdin=-1, stdout=-1, stderr=-1, env=environment)


def test_script_gets_the_whole_answer(tmp_path: Path, guest: socket.socket) -> None:
    with script(tmp_path, silence=1.5) as done:
        assert done.stdin
        assert done.stdout
        serial, _ = guest.accept()
        with serial:
            done.stdin.write(b"uname\r")
            done.stdin.close()
            assert receive(serial, 6) == b"uname\r"
            for part in (b"uname\r\n", b"Linux\r\n", b"# "):
                # Each part may take up to the silence that would be the end.
                serial.sendall(part)
                assert done.stdout.read(len(part)) == part
            assert done.wait(PATIENCE) == 0
        assert done.stdout.read() == b""
        assert done.stderr
        assert done.stderr.read() == b""


def test_script_that_says_nothing_sees_what_is_printed(
    tmp_path: Path, guest: socket.socket
) -> None:
    with script(tmp_path, silence=60) as done:
        assert done.stdin
        done.stdin.close()
        serial, _ = guest.accept()
        serial.sendall(b"booting\r\n")
        serial.close()
        assert done.wait(PATIENCE) == 0
        assert done.stdout
        assert done.stdout.read() == b"booting\r\n"


# --- QEMU's log of the console on our stdout ---------------------------------------------------


@contextmanager
def stdout_is(fd: int) -> Iterator[None]:
    """Run with `fd` as stdout."""
    kept = os.dup(1)
    os.dup2(fd, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def logged(fd: int, text: bytes) -> None:
    """Write to the console's log as QEMU does; it takes none but one that is only written to."""
    with stdout_is(fd), log_to_stdout() as log:
        assert fcntl.fcntl(log, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
        os.write(log, text)


def test_log_goes_to_the_end_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    fd = os.open(path, os.O_RDWR)
    logged(fd, b"first\n")
    logged(fd, b"second\n")
    os.close(fd)
    assert path.read_bytes() == b"before\nfirst\nsecond\n"


def test_log_goes_into_a_pipe() -> None:
    # As a container's runtime has it.
    reading, writing = os.pipe()
    logged(writing, b"login: ")
    assert os.read(reading, 100) == b"login: "
    os.close(reading)
    os.close(writing)


def test_log_goes_to_a_terminal() -> None:
    master, slave = pty.openpty()
    logged(slave, b"login: ")
    assert os.read(master, 100) == b"login: "
    os.close(master)
    os.close(slave)


def test_log_goes_into_a_socket() -> None:
    # As systemd has it.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(PATIENCE)
        with stdout_is(theirs.fileno()), log_to_stdout() as log:
            assert fcntl.fcntl(log, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
            os.write(log, b"login: ")
            assert ours.recv(100) == b"login: "


def test_log_is_inherited_by_nobody_but_whom_it_is_given() -> None:
    with log_to_stdout() as log:
        assert not os.get_inheritable(log)
