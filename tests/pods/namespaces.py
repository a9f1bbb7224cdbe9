"""Network namespaces as objects: made, entered, removed.

Sockets are opened inside of a namespace by a thread that enters it for a moment; a socket stays
where it was opened, so a test holds both ends of a connection between two namespaces at once.
"""

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
# Seconds for anything that a socket is waited for; on a machine that is not stuck it is far less.
PATIENCE = 10.0

T = TypeVar("T")
_numbers = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)


def run(*argv: str, stdin: str = "") -> str:
    """Run a program to its end. Returns what it wrote to stdout."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout


class Namespace:
    """A named network namespace, with its loopback up."""

    def __init__(self, role: str) -> None:
        self.role = role
        self.name = f"berth-{os.getpid()}-{next(_numbers)}-{role}"

    def run(self, *argv: str, stdin: str = "") -> str:
        return run("ip", "netns", "exec", self.name, *argv, stdin=stdin)

    def ip(self, batch: str) -> None:
        """Run several `ip` commands, one a line, without the word `ip`."""
        run("ip", "-netns", self.name, "-batch", "-", stdin=batch)

    def sysctl(self, **values: int) -> None:
        """`ipv4__conf__all__forwarding=1` writes /proc/sys/net/ipv4/conf/all/forwarding."""
        lines = (
            f"echo {value} > /proc/sys/net/{name.replace('__', '/')}"
            for name, value in values.items()
        )
        self.run("sh", "-e", stdin="\n".join(lines))

    def resolv_conf(self, text: str) -> None:
        """What programs find in /etc/resolv.conf (`ip netns exec` puts it there)."""
        path = Path("/etc/netns") / self.name / "resolv.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread of its own inside of the namespace."""
        results: list[T] = []
        errors: list[BaseException] = []

        def enter() -> None:
            try:
                fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
                try:
                    if _libc.setns(fd, CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(fd)
                results.append(function())
            except BaseException as err:
                errors.append(err)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def socket(self, kind: int, protocol: int = 0) -> socket.socket:
        opened = self.call(lambda: socket.socket(socket.AF_INET, kind, protocol))
        opened.settimeout(PATIENCE)
        return opened


@contextmanager
def namespaces(*roles: str) -> Iterator[Sequence[Namespace]]:
    """Make fresh namespaces, and remove them whatever happens."""
    made = [Namespace(role) for role in roles]
    try:
        for each in made:
            run("ip", "netns", "add", each.name)
            each.ip("link set lo up")
        yield made
    finally:
        for each in made:
            subprocess.run(["ip", "netns", "delete", each.name], stderr=subprocess.DEVNULL)
            resolver = Path("/etc/netns") / each.name / "resolv.conf"
            resolver.unlink(missing_ok=True)
            if resolver.parent.exists():
                resolver.parent.rmdir()
