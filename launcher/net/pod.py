"""The pod's network, as the kernel and resolv.conf have it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import NamedTuple

from launcher.host import rtnetlink
from launcher.host.errors import LauncherError
from launcher.net.resolver import Resolver, parse

# Addresses of a wider scope than this one (253, link) are good for reaching others.
SCOPE_LINK = 253


class Use(NamedTuple):
    """A network the pod uses already: one of its addresses, or what a route of its leads to."""

    network: IPv4Network
    interface: str

    def __str__(self) -> str:
        return f"{self.network} on {self.interface}"


class PodNetwork(NamedTuple):
    """`mtu` is that of the default route, in bytes, which may be less than its device's.

    `gateway` is None where the default route has none, or an IPv6 one. The pod's address may be
    a /32 and the gateway outside of it (Calico, Cilium).
    """

    interface: str
    address: IPv4Address
    prefix: int
    gateway: IPv4Address | None
    mtu: int
    nameservers: tuple[IPv4Address | IPv6Address, ...] = ()
    search: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()


def read(resolv_conf: Path = Path("/etc/resolv.conf")) -> PodNetwork:
    """Read the network of the pod we run in.

    :raise LauncherError: when there is no default route, or no address on its device.
    """
    try:
        text = resolv_conf.read_bytes().decode(errors="replace")
    except OSError:
        text = ""
    return choose(rtnetlink.links(), rtnetlink.addresses(), rtnetlink.routes(), parse(text))


def choose(
    links: Iterable[rtnetlink.Link],
    addresses: Iterable[rtnetlink.Address],
    routes: Iterable[rtnetlink.Route],
    resolver: Resolver,
) -> PodNetwork:
    """Find the pod's interface and address among everything there is (pure).

    The interface is the one that the default route of the lowest metric leaves by, whatever it is
    called; the address is the one that the kernel would use as source on that route.

    :raise LauncherError: as `read`.
    """
    by_index = {link.ifindex: link for link in links}
    addresses = tuple(addresses)
    routes = tuple(route for route in routes if route.ifindex in by_index)
    defaults = [route for route in routes if route.network.prefixlen == 0]
    if not defaults:
        raise LauncherError(
            "the pod has no IPv4 default route, so it cannot be told which interface is its own",
            hint="the VM takes over the pod's IPv4 address; `ip route` shows what the pod has",
        )
    default = min(defaults, key=lambda route: route.metric)
    link = by_index[default.ifindex]
    address = _address(default, addresses)
    if address is None:
        raise LauncherError(
            f"{link.name}, the device of the pod's default route, has no global IPv4 address",
            hint="the VM takes over the pod's IPv4 address; `ip address` shows what the pod has",
        )
    uses = [
        Use(IPv4Network(each.address), by_index[each.ifindex].name)
        for each in addresses
        if each.ifindex in by_index and not each.address.is_loopback
    ]
    # A /1 is how VPN clients write a default route that wins over the other one.
    uses += [
        Use(route.network, by_index[route.ifindex].name)
        for route in routes
        if route.network.prefixlen > 1
    ]
    return PodNetwork(
        interface=link.name,
        address=address.address,
        prefix=address.prefix,
        gateway=default.gateway,
        mtu=min(link.mtu, default.mtu or link.mtu),
        nameservers=resolver.nameservers,
        search=resolver.search,
        unreadable=resolver.ignored,
        uses=tuple(uses),
    )


def _address(
    default: rtnetlink.Route, addresses: Iterable[rtnetlink.Address]
) -> rtnetlink.Address | None:
    candidates = [each for each in addresses if each.scope < SCOPE_LINK]
    for each in candidates:
        if each.address == default.source:
            return each
    return next((each for each in candidates if each.ifindex == default.ifindex), None)
