"""The tap device that QEMU is handed, opened by us.

A tap that was opened rather than created (no TUNSETPERSIST) goes away with its last descriptor,
however QEMU and we end, so none is ever left behind for the next start to trip over.
"""

import errno
import fcntl
import logging
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import Busy, LauncherError, RightMissing

logger = logging.getLogger("startvm")

TUN = Path("/dev/net/tun")
TUN_NUMBERS = (10, 200)
VHOST_NET = Path("/dev/vhost-net")

# uapi/linux/if_tun.h
TUNSETIFF, TUNSETPERSIST, TUNGETIFF = 0x400454CA, 0x400454CB, 0x800454D2
IFF_TAP, IFF_NO_PI, IFF_PERSIST, IFF_VNET_HDR = 0x0002, 0x1000, 0x0800, 0x4000
IFREQ = "16sH22x"


class Tap(NamedTuple):
    """Descriptors for QEMU's `fd=` and `vhostfd=`; the latter is None where there is no vhost."""

    name: str
    fd: int
    vhost_fd: int | None


@contextmanager
def open_tap(name: str, device: Path = TUN, vhost: Path = VHOST_NET) -> Iterator[Tap]:
    """Open the tap device `name`. It lasts until the context and QEMU have both ended.

    :raise RightMissing: when the device or the capability is missing, naming which.
    :raise Busy: when another program holds a tap of that name.
    :raise LauncherError: when the name belongs to another kind of device.
    """
    with ExitStack() as stack:
        fd = _attached(name, device)
        if _flags(fd) & IFF_PERSIST:
            # Another program made it and nobody uses it: it may have an owner, an MTU or a bridge
            # of its own. A fresh one has not.
            logger.warning("%s was left behind by another program; it is made anew", name)
            fcntl.ioctl(fd, TUNSETPERSIST, 0)
            os.close(fd)
            fd = _attached(name, device)
        stack.callback(os.close, fd)
        vhost_fd = _open_vhost(vhost)
        if vhost_fd is not None:
            stack.callback(os.close, vhost_fd)
        yield Tap(name, fd, vhost_fd)


def _attached(name: str, device: Path) -> int:
    fd = _open_tun(device)
    request = struct.pack(IFREQ, name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
    try:
        fcntl.ioctl(fd, TUNSETIFF, request)
    except OSError as err:
        os.close(fd)
        raise _explained(name, err) from err
    return fd


def _flags(fd: int) -> int:
    answer = fcntl.ioctl(fd, TUNGETIFF, bytes(struct.calcsize(IFREQ)))
    flags: int = struct.unpack(IFREQ, answer)[1]
    return flags


def _explained(name: str, err: OSError) -> LauncherError:
    if err.errno == errno.EPERM:
        return RightMissing(
            f"the tap device {name} cannot be made",
            hint="the container needs the capability NET_ADMIN",
        )
    if err.errno == errno.EBUSY:
        return Busy(
            f"the tap device {name} is in use by another program",
            hint="every VM needs a network namespace of its own: one VM in a pod",
        )
    if err.errno == errno.EINVAL:
        return LauncherError(
            f"there is already a network device {name} of another kind",
            hint=f"remove it: ip link delete {name}",
        )
    return LauncherError(f"the tap device {name} cannot be made: {err.strerror}")


def _open_tun(device: Path) -> int:
    try:
        return os.open(device, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        _make_node(device)
    except OSError as err:
        raise _closed(device, err) from err
    try:
        return os.open(device, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as err:
        raise _closed(device, err) from err


def _make_node(device: Path) -> None:
    """Container runtimes allow the device (their default list has c 10:200) but make no node."""
    try:
        device.parent.mkdir(mode=0o755, exist_ok=True)
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(*TUN_NUMBERS))
    except FileExistsError:
        pass
    except OSError as err:
        raise RightMissing(
            f"there is no {device}, and it cannot be made ({err.strerror})",
            hint=f"the container needs the capability MKNOD, or {device} from the node",
        ) from err


def _closed(device: Path, err: OSError) -> RightMissing:
    if err.errno in (errno.ENODEV, errno.ENXIO):
        return RightMissing(
            f"{device} does not open: the kernel has no tun driver",
            hint="load the module tun on the node",
        )
    return RightMissing(
        f"{device} does not open ({err.strerror})",
        hint=f"the container's device list has to allow {device} (c {TUN_NUMBERS[0]}:"
        f"{TUN_NUMBERS[1]}), as container runtimes do by default",
    )


def _open_vhost(vhost: Path) -> int | None:
    try:
        return os.open(vhost, os.O_RDWR | os.O_CLOEXEC)
    except OSError as err:
        logger.debug("without vhost: %s does not open (%s)", vhost, err.strerror)
        return None
