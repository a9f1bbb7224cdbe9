"""The guard refuses every way to reach the machine, and nothing a pure test needs."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.guard import Guard, TouchedMachineError


def connect(family: socket.AddressFamily, address: str | tuple[str, int]) -> None:
    with socket.socket(family) as sock:
        sock.connect(address)


def bind_loopback() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))


def send_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("127.0.0.1", 9))


FORBIDDEN: dict[str, Callable[[], object]] = {
    "Popen": lambda: subprocess.Popen(["true"]),
    "run": lambda: subprocess.run(["true"], check=True),
    "asyncio": lambda: asyncio.run(asyncio.create_subprocess_exec("true")),
    "system": lambda: os.system("true"),  # noqa: S605
    "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(1, 0),
    "tcp": lambda: connect(socket.AF_INET, ("127.0.0.1", 9)),
    "tcp6": lambda: connect(socket.AF_INET6, ("::1", 9)),
    "unix socket": lambda: connect(socket.AF_UNIX, "/run/nobody.sock"),
    "abstract socket": lambda: connect(socket.AF_UNIX, "\0nobody"),
    "bind": bind_loopback,
    "udp": send_datagram,
    "dns": lambda: socket.getaddrinfo("localhost", 80),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "tun": lambda: os.open("/dev/net/tun", os.O_RDWR),
    "kvm": lambda: os.open("/dev/kvm", os.O_RDWR),
    "kvm, only looking": lambda: Path("/dev/kvm").read_bytes(),
    "sysctl": lambda: Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="ascii"),
    "sysfs": lambda: Path("/sys/class/net/lo/mtu").read_text(encoding="ascii"),
    "write": lambda: Path("/tmp/berth-guard").write_text("x", encoding="ascii"),
    "write here": lambda: Path("berth-guard").write_text("x", encoding="ascii"),
    "append": lambda: os.open("/etc/hosts", os.O_WRONLY | os.O_APPEND),
    "create": lambda: os.open("/tmp/berth-guard", os.O_CREAT | os.O_EXCL),
    "mkdir": lambda: Path("/tmp/berth-guard").mkdir(),
    "unlink": lambda: Path("/tmp/berth-guard").unlink(missing_ok=True),
    "rename": lambda: Path("/tmp/berth-guard").rename("/tmp/berth-guard2"),
    "symlink": lambda: Path("/tmp/berth-guard").symlink_to("x"),
    "chmod": lambda: Path("/etc/hosts").chmod(0o644),
    "utime": lambda: os.utime("/etc/hosts"),
}


@pytest.mark.parametrize("act", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_machine_is_out_of_reach(act: Callable[[], object], guard: Guard) -> None:
    with pytest.raises(TouchedMachineError):
        act()
    assert guard.refused
    guard.refused.clear()


def test_handler_for_every_exception_does_not_hide_it(guard: Guard) -> None:
    def careless() -> None:
        try:
            subprocess.run(["true"], check=True)
        except Exception:
            pytest.fail("swallowed")

    with pytest.raises(TouchedMachineError):
        careless()
    guard.refused.clear()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_does_not_hide_it(guard: Guard) -> None:
    thread = threading.Thread(target=os.fork)
    thread.start()
    thread.join()
    assert guard.refused == ["start a program (os.fork )"]
    guard.refused.clear()


def test_leaving_tmp_by_a_link_is_seen(tmp_path: Path, guard: Guard) -> None:
    (tmp_path / "out").symlink_to("/etc")
    with pytest.raises(TouchedMachineError):
        (tmp_path / "out" / "berth-guard").touch()
    guard.refused.clear()


def test_what_pure_tests_need_is_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("x", encoding="ascii")
    (folder / "file").rename(folder / "other")
    (folder / "link").symlink_to("/etc/hosts")
    (folder / "other").chmod(0o400)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.unlink("link", dir_fd=descriptor)
    os.close(descriptor)
    shutil.rmtree(folder)
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).is_relative_to(tmp_path)
    left, right = socket.socketpair()
    with left, right:
        left.sendmsg([b"ping"])
        assert right.recv(4) == b"ping"
    asyncio.run(asyncio.sleep(0))
    os.kill(os.getpid(), 0)
    assert Path("/dev/null").read_bytes() == b""


def test_unix_socket_under_tmp_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # By a short name: an address has room for 107 bytes.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")
