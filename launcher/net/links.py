"""The bridge, its address and its port, and routing between them and the pod's interface."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.host import rtnetlink
from launcher.host.errors import LauncherError, RightMissing
from launcher.host.rtnetlink import Link, Switch
from launcher.net.topology import PREFIX, Topology

if TYPE_CHECKING:
    from pyroute2 import IPRoute

logger = logging.getLogger("startvm")

# The bridge's alias tells, to us after a kill and to people who look, whose it is and what to
# restore. It lives exactly as long as what it speaks of: as the pod's network namespace.
ALIAS = "berth: {uplink} {state}"
FORWARDED, DID_NOT = "forwarded before", "did not forward before"


def link_plan(topology: Topology) -> tuple[str, ...]:
    """What `apply` does, as the `ip` commands that would do the same (pure)."""
    bridge, port = topology.bridge, topology.port
    return (
        f"ip tuntap add {port} mode tap vnet_hdr",
        f"ip link add {bridge} address {topology.gateway_mac} type bridge "
        "stp_state 0 forward_delay 0 mcast_snooping 0",
        f"ip link set {bridge} addrgenmode none",
        f"ip link set {port} addrgenmode none",
        f"ip address replace {topology.gateway}/{PREFIX} dev {bridge}",
        f"ip link set {port} master {bridge} mtu {topology.mtu} up",
        f"ip link set {port} type bridge_slave hairpin on",
        f"ip link set {bridge} mtu {topology.mtu} up",
        f"sysctl net.ipv4.conf.{bridge}.forwarding=1 net.ipv4.conf.{bridge}.route_localnet=1",
        f"sysctl net.ipv4.conf.{topology.uplink}.forwarding=1",
    )


@contextmanager
def apply(topology: Topology) -> Iterator[None]:
    """Make the links and let the pod's interface and the bridge forward; undo it at the end.

    The port has to exist. What an earlier launcher left behind when it was killed is taken over.
    Not to be called from within a running asyncio loop: pyroute2 runs one of its own.

    :raise RightMissing: without NET_ADMIN.
    :raise LauncherError: when the names are taken, or the kernel did not do what it was told.
    """
    before = {link.name: link for link in rtnetlink.links()}
    _refuse_foreign(topology, before)
    forwarded = _forwarded_before(topology, before)
    try:
        _set_up(topology, before, forwarded)
        _read_back(topology)
        yield
    finally:
        try:
            _take_down(topology, forwarded)
        except LauncherError as err:
            logger.warning("the network could not be restored: %s", err)


def _refuse_foreign(topology: Topology, before: dict[str, Link]) -> None:
    if topology.port not in before:
        raise LauncherError(f"there is no network device {topology.port} to connect the VM by")
    bridge = before.get(topology.bridge)
    if bridge is None:
        return
    is_ours = bridge.mac == topology.gateway_mac or bridge.alias.startswith(ALIAS.split()[0])
    if bridge.kind != "bridge" or not is_ours:
        raise LauncherError(
            f"there is already a network device {topology.bridge}, and it is not Berth's",
            hint="every VM needs a network namespace of its own; hostNetwork does not go with it",
        )


def _forwarded_before(topology: Topology, before: dict[str, Link]) -> bool:
    """Whether the pod's interface forwarded before any launcher came."""
    bridge = before.get(topology.bridge)
    if bridge and bridge.alias:
        return bridge.alias.endswith(f" {FORWARDED}")
    return bool(before[topology.uplink].value(Switch.FORWARDING))


def _set_up(topology: Topology, before: dict[str, Link], forwarded: bool) -> None:
    from pyroute2 import IPRoute

    port = before[topology.port].ifindex
    alias = ALIAS.format(uplink=topology.uplink, state=FORWARDED if forwarded else DID_NOT)
    with _explained(), IPRoute() as ip:
        ip.link(
            "set" if topology.bridge in before else "add",
            ifname=topology.bridge,
            kind="bridge",
            # Left to itself, a bridge takes the lowest address among its ports.
            address=topology.gateway_mac,
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=0,
        )
        bridge = ip.link_lookup(ifname=topology.bridge)[0]
        ip.link("set", index=bridge, ifalias=alias)
        for index in (bridge, port):
            rtnetlink.give_no_ipv6_address(index)
        _set_only_address(ip, bridge, topology)
        ip.link("set", index=port, master=bridge, mtu=topology.mtu)
        # Hairpin: lets a frame leave by the port it came by. The VM's packets to the pod's
        # address, which is its own, do that wherever bridges call iptables.
        ip.brport("set", index=port, mode=1)
        ip.link("set", index=port, state="up")
        ip.link("set", index=bridge, mtu=topology.mtu, state="up")
        # Last, so that nothing is forwarded half-way through. Per device: the kernel looks at
        # the device a packet came by, and ip_forward may well stay 0.
        rtnetlink.switch(bridge, {Switch.FORWARDING: 1, Switch.ROUTE_LOCALNET: 1})
        rtnetlink.switch(before[topology.uplink].ifindex, {Switch.FORWARDING: 1})


def _set_only_address(ip: "IPRoute", bridge: int, topology: Topology) -> None:
    wanted = str(topology.gateway)
    ip.addr("replace", index=bridge, address=wanted, prefixlen=PREFIX)
    for found in rtnetlink.addresses():
        if found.ifindex == bridge and (str(found.address), found.prefix) != (wanted, PREFIX):
            ip.addr("del", index=bridge, address=str(found.address), prefixlen=found.prefix)


def _read_back(topology: Topology) -> None:
    """pyroute2 silently drops keywords it does not know, and devices may refuse what they like."""
    from pyroute2 import IPRoute

    links = {link.name: link for link in rtnetlink.links()}
    bridge, port, uplink = (
        links[name] for name in (topology.bridge, topology.port, topology.uplink)
    )
    with _explained(), IPRoute() as ip:
        bridge_data = ip.get_links(bridge.ifindex)[0]
        port_data = ip.get_links(port.ifindex)[0]
    stp = bridge_data.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_BR_STP_STATE")
    delay = bridge_data.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_BR_FORWARD_DELAY")
    hairpin = port_data.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_MODE")
    checks = {
        f"{bridge.name} has the address {topology.gateway_mac}": bridge.mac == topology.gateway_mac,
        f"{bridge.name} has STP off": stp == 0,
        f"{bridge.name} has no forward delay": delay == 0,
        f"{bridge.name} is up": bridge.is_up,
        f"{bridge.name} has MTU {topology.mtu}": bridge.mtu == topology.mtu,
        f"{bridge.name} forwards": bridge.value(Switch.FORWARDING) == 1,
        f"{bridge.name} routes 127.0.0.1": bridge.value(Switch.ROUTE_LOCALNET) == 1,
        f"{port.name} is a port of {bridge.name}": port.master == bridge.ifindex,
        f"{port.name} has hairpin on": hairpin == 1,
        f"{port.name} is up": port.is_up,
        f"{port.name} has MTU {topology.mtu}": port.mtu == topology.mtu,
        f"{uplink.name} forwards": uplink.value(Switch.FORWARDING) == 1,
    }
    untrue = [what for what, is_true in checks.items() if not is_true]
    if untrue:
        raise LauncherError(f"the kernel did not do as told; not true: {'; '.join(untrue)}")


def _take_down(topology: Topology, forwarded: bool) -> None:
    from pyroute2 import IPRoute

    links = {link.name: link for link in rtnetlink.links()}
    if topology.uplink in links and not forwarded:
        rtnetlink.switch(links[topology.uplink].ifindex, {Switch.FORWARDING: 0})
    if topology.bridge in links:
        with _explained(), IPRoute() as ip:
            ip.link("del", index=links[topology.bridge].ifindex)


@contextmanager
def _explained() -> Iterator[None]:
    from pyroute2 import NetlinkError

    try:
        yield
    except NetlinkError as err:
        if err.code in (errno.EPERM, errno.EACCES):
            raise RightMissing(
                "changing the pod's network is not allowed",
                hint="the container needs the capability NET_ADMIN",
            ) from err
        raise LauncherError(
            f"the kernel refused a change of the VM's links: {os.strerror(err.code)}"
        ) from err
