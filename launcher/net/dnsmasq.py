"""dnsmasq on the bridge: the VM's DHCP server, and where the pod's resolvers are out of the
guest's reach, its name server too.
"""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.host import process
from launcher.host.errors import LauncherError, RightMissing
from launcher.host.process import Child
from launcher.net.topology import Topology

NAME = "dnsmasq"
# It says that it has started within a few hundredths of a second. Seconds.
PATIENCE = 10.0
# Its words for a port that it may not have.
RESERVED_PORT = "Permission denied"
RESERVED_PORT_HINT = (
    "ports below 1024 are reserved here; add the capability NET_BIND_SERVICE, or set the sysctl "
    "net.ipv4.ip_unprivileged_port_start to 0"
)


def config(topology: Topology, run_dir: Path, *, debug: bool = False) -> str:
    """The text of dnsmasq.conf (pure). All of dnsmasq's own files are in `run_dir`."""
    lines = [
        "keep-in-foreground",
        "log-facility=-",
        f"pid-file={run_dir / 'dnsmasq.pid'}",
        # It stays root, and with no group named it does not change to one either: so it
        # needs neither SETUID nor SETGID, and the kernel still ends it with us, which it forgets to
        # do for a process that changes who it is.
        "user=root",
        "group=",
        f"interface={topology.bridge}",
        # Named although `interface` implies it: the pod's own resolver may be on loopback.
        "except-interface=lo",
        # Bound now and for good. `bind-dynamic` would want NET_BIND_SERVICE.
        "bind-interfaces",
        "no-hosts",
        "no-resolv",
        *_dns(topology),
    ]
    if topology.dhcp:
        lines += _dhcp(topology, run_dir)
        lines += ["log-dhcp"] if debug else ["quiet-dhcp"]
    return "\n".join([*lines, ""])


def _dns(topology: Topology) -> list[str]:
    if not topology.forward_dns:
        return ["port=0"]
    # In the order of resolv.conf, as the pod's own processes ask them.
    return ["strict-order", *(f"server={server}" for server in topology.forward_dns)]


def _dhcp(topology: Topology, run_dir: Path) -> list[str]:
    options = {
        "option:netmask": str(topology.netmask),
        "option:router": str(topology.gateway),
        "option:dns-server": ",".join(str(server) for server in topology.dns),
        # Host name, which dnsmasq has a name for but does not take it by that.
        "12": topology.vm_name,
        "option:domain-name": topology.search[0] if topology.search else "",
        "option:domain-search": ",".join(topology.search),
        "option:mtu": str(topology.mtu),
    }
    return [
        # Whether the address is free is no question here, and asking (ICMP) needs NET_RAW.
        "no-ping",
        "dhcp-authoritative",
        f"dhcp-leasefile={run_dir / 'dnsmasq.leases'}",
        f"dhcp-range={topology.vm_address},static,{topology.netmask},infinite",
        f"dhcp-host={topology.vm_mac},{topology.vm_address},infinite",
        *(f"dhcp-option={name},{value}" for name, value in options.items() if value),
    ]


def config_path(run_dir: Path) -> Path:
    return run_dir / "dnsmasq.conf"


def argv(run_dir: Path) -> tuple[str, ...]:
    """The command line (pure); it stays in the foreground and logs to stderr."""
    return ("dnsmasq", f"--conf-file={config_path(run_dir)}")


def write(topology: Topology, run_dir: Path, *, debug: bool = False) -> None:
    """Write what `argv` starts with."""
    run_dir.mkdir(parents=True, exist_ok=True)
    config_path(run_dir).write_text(config(topology, run_dir, debug=debug), encoding="utf-8")


@contextmanager
def start(topology: Topology, run_dir: Path, *, debug: bool = False) -> Iterator[Child]:
    """Start dnsmasq on the bridge, which has to be up, and wait until it serves.

    It ends with the context. What it says from then on is to be read from the child's stderr.

    :raise RightMissing: when it may not have the port.
    :raise LauncherError: when it ends at once, in its own words, or does not get ready.
    """
    write(topology, run_dir, debug=debug)
    with process.spawn(NAME, argv(run_dir), capture_stderr=True) as child:
        _wait_until_ready(child)
        yield child


def _wait_until_ready(child: Child) -> None:
    if child.stderr is None:
        raise AssertionError("its stderr was asked for")
    deadline = time.monotonic() + PATIENCE
    said = ""
    # "started, version 2.90 ..." comes after everything is bound; what fails comes before it.
    while "started, version" not in said:
        ready, _, _ = select.select([child.stderr], [], [], max(0.0, deadline - time.monotonic()))
        data = os.read(child.stderr, 65536) if ready else b""
        said += data.decode(errors="replace")
        if not data:
            happened = "did not start" if ready else f"was not ready after {PATIENCE:.0f} s"
            message = f"dnsmasq {happened}: {said.strip() or 'it said nothing'}"
            if RESERVED_PORT in said:
                raise RightMissing(message, hint=RESERVED_PORT_HINT)
            raise LauncherError(message)
