"""A small rtnetlink client: dumps links, addresses and routes, and sets a device's IPv4 switches.

pyroute2 makes our links (see launcher.net.links), but importing it takes 170 ms, and the pod's
network has to be known before QEMU can be started: reading it here takes about a millisecond.
The switches are here because pyroute2 decodes a device's IPv4 settings but cannot encode them.

Sources: rtnetlink(7), and the kernel's uapi headers if_link.h, if_addr.h, rtnetlink.h and ip.h,
which the names of the constants come from.
"""

import socket
import struct
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from launcher.host.errors import LauncherError, RightMissing
from launcher.host.netlink import NLM_F_ACK, attribute, attributes, dump, nested, request

RTM_GETLINK, RTM_SETLINK, RTM_GETADDR, RTM_GETROUTE = 18, 19, 22, 26

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER = 1, 3, 4, 10
IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_IFALIAS, IFLA_AF_SPEC = 18, 1, 20, 26
IFLA_INET_CONF = 1
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
IFF_UP = 1

IFA_ADDRESS, IFA_LOCAL = 1, 2
IFA_F_SECONDARY = 1

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
RTA_METRICS, RTA_MULTIPATH, RTA_TABLE, RTAX_MTU = 8, 9, 15, 2
RT_TABLE_MAIN = 254
RTN_UNICAST = 1


class Switch(IntEnum):
    """IPv4 settings of one device, as in /proc/sys/net/ipv4/conf/DEVICE (uapi/linux/ip.h)."""

    FORWARDING = 1
    ROUTE_LOCALNET = 26


# Named tuples rather than dataclasses, which take a millisecond each to define.
class Link(NamedTuple):
    """`kind` is empty for a physical device; `master` is the bridge's index, or 0."""

    ifindex: int
    name: str
    kind: str
    mac: str
    mtu: int
    is_up: bool
    master: int
    alias: str
    switches: tuple[int, ...]

    def value(self, switch: Switch) -> int:
        return self.switches[switch - 1] if len(self.switches) >= switch else 0


class Address(NamedTuple):
    """`scope` is as in rtnetlink(7): 0 is global, 253 link, 254 host."""

    ifindex: int
    address: IPv4Address
    prefix: int
    scope: int
    is_secondary: bool


class Route(NamedTuple):
    """A unicast route of the main table. `mtu` and `metric` are 0 where the route has none."""

    network: IPv4Network
    ifindex: int
    gateway: IPv4Address | None
    source: IPv4Address | None
    metric: int
    mtu: int


def links() -> tuple[Link, ...]:
    header = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    return tuple(_link(body) for body in dump(RTM_GETLINK, header))


def addresses() -> tuple[Address, ...]:
    """The IPv4 addresses, in the kernel's order."""
    header = struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)
    return tuple(_address(body) for body in dump(RTM_GETADDR, header))


def routes() -> tuple[Route, ...]:
    """The IPv4 unicast routes of the main table, in the kernel's order."""
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    found = (_route(body) for body in dump(RTM_GETROUTE, header))
    return tuple(route for route in found if route)


def switch(index: int, values: dict[Switch, int]) -> None:
    """Set IPv4 switches of one device.

    This needs NET_ADMIN and nothing else. Writing the same through /proc/sys needs it to be
    mounted writable, which container runtimes do for privileged containers only.

    :raise RightMissing: without NET_ADMIN.
    """
    conf = b"".join(attribute(number, struct.pack("=I", value)) for number, value in values.items())
    inet = nested(socket.AF_INET, nested(IFLA_INET_CONF, conf))
    _set_link(index, nested(IFLA_AF_SPEC, inet))


def give_no_ipv6_address(index: int) -> bool:
    """Keep the kernel from giving the device a link-local IPv6 address when it comes up.

    Returns False where the kernel has no IPv6, or has it turned off.
    """
    mode = attribute(IFLA_INET6_ADDR_GEN_MODE, struct.pack("=B", IN6_ADDR_GEN_MODE_NONE))
    try:
        _set_link(index, nested(IFLA_AF_SPEC, nested(socket.AF_INET6, mode)))
    except LauncherError as err:
        if isinstance(err, RightMissing):
            raise
        return False
    return True


def _set_link(index: int, attributes: bytes) -> None:
    header = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    for _ in request(RTM_SETLINK, NLM_F_ACK, header + attributes):
        pass


def _link(body: bytes) -> Link:
    _, _, index, flags, _ = struct.unpack_from("=BxHiII", body)
    found = dict(attributes(body[16:]))
    info = dict(attributes(found.get(IFLA_LINKINFO, b"")))
    families = dict(attributes(found.get(IFLA_AF_SPEC, b"")))
    conf = dict(attributes(families.get(socket.AF_INET, b""))).get(IFLA_INET_CONF, b"")
    return Link(
        ifindex=index,
        name=_string(found[IFLA_IFNAME]),
        kind=_string(info.get(IFLA_INFO_KIND, b"")),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=_number(found.get(IFLA_MTU)),
        is_up=bool(flags & IFF_UP),
        master=_number(found.get(IFLA_MASTER)),
        alias=_string(found.get(IFLA_IFALIAS, b"")),
        switches=struct.unpack(f"={len(conf) // 4}i", conf),
    )


def _address(body: bytes) -> Address:
    _, prefix, flags, scope, index = struct.unpack_from("=BBBBI", body)
    found = dict(attributes(body[8:]))
    # On a point-to-point device IFA_ADDRESS is the other end's.
    address = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    return Address(index, IPv4Address(address), prefix, scope, bool(flags & IFA_F_SECONDARY))


def _route(body: bytes) -> Route | None:
    _, prefix, _, _, table, _, _, kind = struct.unpack_from("=BBBBBBBB", body)
    found = dict(attributes(body[12:]))
    if kind != RTN_UNICAST or _number(found.get(RTA_TABLE), table) != RT_TABLE_MAIN:
        return None
    if RTA_MULTIPATH in found:
        # struct rtnexthop: length, flags, hops, interface; then attributes of its own.
        length, _, _, index = struct.unpack_from("=HBBi", found[RTA_MULTIPATH])
        found |= dict(attributes(found[RTA_MULTIPATH][8:length]))
        found[RTA_OIF] = struct.pack("=i", index)
    metrics = dict(attributes(found.get(RTA_METRICS, b"")))
    return Route(
        network=IPv4Network((found.get(RTA_DST, bytes(4)), prefix)),
        ifindex=_number(found.get(RTA_OIF)),
        gateway=_ipv4(found.get(RTA_GATEWAY)),
        source=_ipv4(found.get(RTA_PREFSRC)),
        metric=_number(found.get(RTA_PRIORITY)),
        mtu=_number(metrics.get(RTAX_MTU)),
    )


def _ipv4(data: bytes | None) -> IPv4Address | None:
    return IPv4Address(data) if data else None


def _number(data: bytes | None, default: int = 0) -> int:
    return int(struct.unpack("=I", data)[0]) if data else default


def _string(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")
