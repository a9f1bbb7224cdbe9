"""A program as a container runtime would start it, as far as the launcher can tell the difference.

Not a container: the file system is this machine's. What counts here are the network namespace, a
host name of its own, /proc/sys that cannot be written to, and the capabilities: those that
runtimes give by default, and NET_ADMIN, which is all that Berth asks for besides.
"""

from collections.abc import Collection, Sequence

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

# Each step becomes the next program, so the process that is started is the one that is named last.
ENTER = """\
set -e
hostname "$1"
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
shift
exec "$@"
"""


def command(
    namespace: Namespace,
    host_name: str,
    argv: Sequence[str],
    capabilities: Collection[str] = CAPABILITIES,
) -> list[str]:
    """The command line that runs `argv` in a container-like place on `namespace`."""
    bounding = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    # `ip netns exec` gives a mount namespace too.
    return [
        "ip", "netns", "exec", namespace.name,
        "unshare", "--uts",
        "sh", "-c", ENTER, "enter", host_name,
        "setpriv", "--bounding-set", bounding, "--inh-caps", "-all", "--",
        *argv,
    ]  # fmt: skip
