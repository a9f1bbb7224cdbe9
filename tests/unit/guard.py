"""Keeps unit tests off the machine: no programs, no network, no devices, no files outside tmp.

An audit hook (PEP 578) sees the act itself, so neither the name a function was imported by nor a
file opened from C gets round it. A hook cannot be removed again, so it is armed for one test at a
time. It does not see mkfifo, mknod and what a library does through ctypes.
"""

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

PROGRAMS = frozenset(
    {
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.system",
        "pty.spawn",
        "subprocess.Popen",
    }
)
LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"})
ADDRESSED = frozenset({"socket.bind", "socket.connect", "socket.sendmsg", "socket.sendto"})

# Sockets that speak to the kernel or to a hypervisor instead of to a peer.
KERNEL_FAMILIES = frozenset({socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK})

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# What differs from machine to machine is not read either: such a test would pass here only.
MACHINE = ("/dev/", "/proc/", "/sys/")
SAME_EVERYWHERE = ("/dev/full", "/dev/null", "/dev/urandom", "/dev/zero", "/proc/self/")

# Which arguments of an event are paths it changes, and where the folder's descriptor of each is.
CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((1, 3),),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.setxattr": ((0, None),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}


# These act on the name itself; the others on what a link of that name leads to.
ON_THE_NAME = frozenset(
    {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"},
)


class TouchedMachineError(BaseException):
    """A unit test reached for the machine. Not an Exception, so that no handler swallows it."""


@dataclass(slots=True)
class Guard:
    """What the armed hook allows, and what it had to refuse."""

    writable: Sequence[Path]
    refused: list[str] = field(default_factory=list)

    def refuse(self, what: str) -> NoReturn:
        self.refused.append(what)
        raise TouchedMachineError(f"a unit test may not {what}")

    def see(self, event: str, args: Sequence[object]) -> None:
        """Judge one audit event."""
        if event in PROGRAMS:
            self.refuse(f"start a program ({event} {args[0] if args else ''})")
        elif event in LOOKUPS:
            self.refuse(f"look up {args[0]!r}")
        elif event == "socket.__new__":
            if args[1] in KERNEL_FAMILIES:
                self.refuse(f"open a socket of family {args[1]}")
        elif event in ADDRESSED:
            self.see_address(event, args)
        elif event == "open":
            self.see_open(args)
        elif event == "os.kill" and args[0] != os.getpid():
            self.refuse(f"send signal {args[1]} to process {args[0]}")
        elif event in CHANGES:
            for position, folder in CHANGES[event]:
                self.see_change(event, args[position], args[folder] if folder else -1)

    def see_address(self, event: str, args: Sequence[object]) -> None:
        address = args[1]
        if address is None:
            # sendmsg() on a connected pair.
            return
        unix = getattr(args[0], "family", None) == socket.AF_UNIX
        if not (unix and isinstance(address, str | bytes) and self.is_writable(address)):
            self.refuse(f"use the network ({event} {address!r})")

    def see_open(self, args: Sequence[object]) -> None:
        path, _, flags = args
        if not isinstance(path, str | bytes):
            # A descriptor that is open already.
            return
        text = os.fsdecode(path)
        if text.startswith(MACHINE) and not text.startswith(SAME_EVERYWHERE):
            self.refuse(f"open {text}")
        if isinstance(flags, int) and flags & WRITING:
            self.see_change("write", text, -1)

    def see_change(self, event: str, path: object, folder: object) -> None:
        if not isinstance(path, str | bytes):
            return
        if isinstance(folder, int) and folder >= 0:
            path = Path(f"/proc/self/fd/{folder}").readlink() / os.fsdecode(path)
        if not self.is_writable(path, follow=event not in ON_THE_NAME):
            self.refuse(f"change {os.fsdecode(path)} ({event})")

    def is_writable(self, path: str | bytes | Path, *, follow: bool = True) -> bool:
        name = os.fsdecode(path)
        if "\0" in name:
            # A Unix socket's abstract name, which every process of this network sees.
            return False
        named = Path(name)
        absolute = str(named.resolve() if follow else named.parent.resolve() / named.name)
        # Python itself keeps bytecode of modules a test is the first to import.
        return (
            "/__pycache__" in absolute
            or absolute.startswith(SAME_EVERYWHERE)
            or any(Path(absolute).is_relative_to(folder) for folder in self.writable)
        )


@dataclass(slots=True)
class _Hook:
    """The one hook of this process; it judges nothing while no guard is armed."""

    guard: Guard | None = None
    installed: bool = False

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if self.guard is not None:
            self.guard.see(event, args)


HOOK = _Hook()


def arm(guard: Guard | None) -> None:
    """Put a guard in charge until the next call; None stands it down."""
    if not HOOK.installed:
        sys.addaudithook(HOOK)
        HOOK.installed = True
    HOOK.guard = guard
