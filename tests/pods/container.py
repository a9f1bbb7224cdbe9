"""A program as a container runtime would start it, as far as the launcher can tell the difference.

Not a container: the files are this machine's. What counts here are the network namespace, a host
name of its own, a /dev with nothing in it but what every container has, a /proc/sys that cannot be
written to, the image's user for QEMU, and rights: if nothing else is said the capabilities that
runtimes give by default, and NET_ADMIN. None can be gained (allowPrivilegeEscalation: false).
"""

import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.guests import cache
from tests.pods.namespaces import Namespace

CHECKOUT = Path(__file__).parents[2]

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

# The image's user for QEMU; its uid and its gid.
QEMU_USER, QEMU_ID = "qemu", 107

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
{ cat /etc/passwd; echo "$3"; } >/mnt/passwd
mount --move /mnt /dev
cd /
mount --bind /dev/passwd /etc/passwd
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
eval "$4"
shift 4
exec "$@"
"""
READ_ONLY = """\
for each in / /tmp /var /run; do
    ! mountpoint -q $each || mount -o remount,bind,ro $each
done
"""


class Rights(NamedTuple):
    """A container's securityContext.

    :param capabilities: of root.
    :param uid: runAsUser and runAsGroup; any other than root has no capability.
    :param read_only: readOnlyRootFilesystem.
    """

    capabilities: Collection[str] = CAPABILITIES
    uid: int = 0
    read_only: bool = False


ORDINARY = Rights()


def command(
    namespace: Namespace,
    host_name: str,
    argv: Sequence[str],
    rights: Rights = ORDINARY,
    devices: Collection[str] = (),
    volumes: Collection[Path] = (),
) -> list[str]:
    """The command line that runs `argv` in a container-like place on `namespace`.

    :param devices: those of this machine that it has besides, such as `/dev/kvm`.
    :param volumes: folders that can be written to whatever `rights` say. With any of them given,
        users other than root reach them and our programs, whatever closed folder they are in here.
        Nothing else of such a folder is to be seen then.
    """
    bounding = ",".join(["-all", *(f"+{name}" for name in rights.capabilities)])
    nodes = " ".join([*DEVICES, *(each.removeprefix("/dev/") for each in devices)])
    passwd = f"{QEMU_USER}:x:{QEMU_ID}:{QEMU_ID}::/nonexistent:/usr/sbin/nologin"
    mounts = mounted(volumes) + (READ_ONLY if rights.read_only else "")
    user = [f"--reuid={rights.uid}", f"--regid={rights.uid}", "--clear-groups"]
    # `ip netns exec` gives a mount namespace too.
    return [
        "ip", "netns", "exec", namespace.name,
        "unshare", "--uts",
        "sh", "-c", ENTER, "enter", host_name, nodes, passwd, mounts,
        "setpriv", *(user if rights.uid else []),
        "--bounding-set", bounding, "--inh-caps", "-all", "--no-new-privs", "--",
        *argv,
    ]  # fmt: skip


def mounted(volumes: Collection[Path]) -> str:
    """Shell commands that mount `volumes` and our programs at their own places, each below folders
    that everybody may enter."""
    programs = [Path(sys.base_prefix), CHECKOUT, cache.folder()]
    closed: dict[Path, list[Path]] = {}
    lines = []
    for path in [*volumes, *programs] if volumes else []:
        above = [each for each in reversed(path.parents) if not each.stat().st_mode & 1]
        if above:
            closed.setdefault(above[0], []).append(path)
        elif path in volumes:
            lines.append(f"mount --rbind {shlex.quote(str(path))} {shlex.quote(str(path))}")
    for folder, paths in closed.items():
        lines.append("mount -t tmpfs -o mode=755 shown /mnt")
        for path in paths:
            place = shlex.quote(f"/mnt/{path.relative_to(folder)}")
            lines.append(f"mkdir -p {place} && mount --rbind {shlex.quote(str(path))} {place}")
        lines.append("mount -o remount,ro /mnt")
        lines.append(f"mount --move /mnt {shlex.quote(str(folder))}")
    return "\n".join(["", *lines, ""])


@contextmanager
def volume(folder: Path, size: str) -> Iterator[None]:
    """A small volume at `folder`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
