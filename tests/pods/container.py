"""A program as a container runtime would start it, as far as the launcher can tell the difference.

Not a container: the files are this machine's. What counts here are the network namespace, a host
name of its own, a /dev with nothing in it but what every container has, a /proc/sys that cannot be
written to, and the capabilities: those that runtimes give by default, and NET_ADMIN, which is all
that Berth asks for besides.
"""

import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.pods.namespaces import Namespace

# What containerd and Docker leave to root in a container.
DEFAULT_CAPABILITIES = (
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "mknod",
    "net_bind_service",
    "net_raw",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
)
CAPABILITIES = (*DEFAULT_CAPABILITIES, "net_admin")

# What is in every container's /dev, by the runtime specification.
DEVICES = ("full", "null", "ptmx", "random", "tty", "urandom", "zero")

# Each step becomes the next program, so the process that is started is the one that is named last.
ENTER = """\
set -e
hostname "$1"
mount -t tmpfs -o mode=755,size=1m devices /mnt
cd /dev
cp -a --parents $2 /mnt
ln -s /proc/self/fd /mnt/fd
mkdir /mnt/pts
mount --bind pts /mnt/pts
mount --move /mnt /dev
cd /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
shift 2
exec "$@"
"""


def command(
    namespace: Namespace,
    host_name: str,
    argv: Sequence[str],
    capabilities: Collection[str] = CAPABILITIES,
    devices: Collection[str] = (),
) -> list[str]:
    """The command line that runs `argv` in a container-like place on `namespace`.

    :param devices: those of this machine that it has besides, such as `/dev/kvm`.
    """
    bounding = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    nodes = " ".join([*DEVICES, *(each.removeprefix("/dev/") for each in devices)])
    # `ip netns exec` gives a mount namespace too.
    return [
        "ip", "netns", "exec", namespace.name,
        "unshare", "--uts",
        "sh", "-c", ENTER, "enter", host_name, nodes,
        "setpriv", "--bounding-set", bounding, "--inh-caps", "-all", "--",
        *argv,
    ]  # fmt: skip


@contextmanager
def volume(folder: Path, size: str) -> Iterator[None]:
    """A small volume at `folder`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
