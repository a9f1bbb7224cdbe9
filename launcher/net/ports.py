"""Whether QEMU will get the ports that HOSTFWD names, asked of the kernel before QEMU is."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from socket import AF_INET, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

from launcher.host.account import Account, assumed
from launcher.host.errors import Busy, LauncherError, RightMissing, SettingsError
from launcher.settings.hostfwd import Forward

START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def check(forwards: Iterable[Forward], account: Account | None) -> None:
    """Take each port for a moment, as `account`, QEMU's user.

    QEMU's own word on the matter is but "could not set up host forwarding rule".

    :raise RightMissing: for a port below 1024 where those are reserved.
    :raise Busy: when another program has it.
    :raise SettingsError: when the address is not the pod's.
    """
    for each in forwards:
        try:
            with assumed(account), socket(AF_INET, _kind(each)) as end:
                if each.protocol == "tcp":
                    end.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
                end.bind((str(each.host or ""), each.host_port))
        except OSError as err:
            raise _explained(each, err, account) from err


def _kind(forward: Forward) -> int:
    return SOCK_STREAM if forward.protocol == "tcp" else SOCK_DGRAM


def _explained(forward: Forward, err: OSError, account: Account | None) -> LauncherError:
    named = f"HOSTFWD='{forward}'"
    if err.errno in (errno.EACCES, errno.EPERM):
        return RightMissing(
            f"{named}: {account or f'uid {os.geteuid()}'} may not listen on port "
            f"{forward.host_port}; ports below {_first_free()} are reserved here",
            hint="set the pod's sysctl net.ipv4.ip_unprivileged_port_start to 0, which every "
            "cluster allows, or take a higher port",
        )
    if err.errno == errno.EADDRINUSE:
        return Busy(
            f"{named}: another program of the pod listens on {forward.protocol} port "
            f"{forward.host_port}"
        )
    if err.errno == errno.EADDRNOTAVAIL:
        return SettingsError(
            [f"{named}: the pod has no address {forward.host}; accepted: one of its own, or none"]
        )
    return LauncherError(f"{named} cannot be listened on: {err.strerror}")


def _first_free() -> str:
    try:
        return START.read_text().strip()
    except OSError:
        return "1024"
