from ipaddress import IPv4Address, IPv4Network

import pytest

from launcher.host.errors import LauncherError
from launcher.host.rtnetlink import Address, Link, Route
from launcher.net.pod import PodNetwork, Use, choose
from launcher.net.resolver import Resolver

LO, ETH0, NET1 = 1, 2, 3


def link(ifindex: int, name: str, mtu: int = 1500) -> Link:
    return Link(ifindex, name, "veth", "02:00:00:00:00:01", mtu, True, 0, "", ())


def address(ifindex: int, text: str, scope: int = 0, is_secondary: bool = False) -> Address:
    ip, prefix = text.split("/")
    return Address(ifindex, IPv4Address(ip), int(prefix), scope, is_secondary)


def route(
    network: str,
    ifindex: int,
    gateway: str = "",
    source: str = "",
    metric: int = 0,
    mtu: int = 0,
) -> Route:
    return Route(
        IPv4Network(network),
        ifindex,
        IPv4Address(gateway) if gateway else None,
        IPv4Address(source) if source else None,
        metric,
        mtu,
    )


LINKS = (link(LO, "lo", 65536), link(ETH0, "eth0", 1450), link(NET1, "net1"))
LOOPBACK = address(LO, "127.0.0.1/8", 254)
DEFAULT = "0.0.0.0/0"


def read(addresses: list[Address], routes: list[Route]) -> PodNetwork:
    return choose(LINKS, [LOOPBACK, *addresses], routes, Resolver())


def test_an_ordinary_pod() -> None:
    found = read(
        [address(ETH0, "10.244.1.7/24")],
        [route(DEFAULT, ETH0, "10.244.1.1"), route("10.244.1.0/24", ETH0)],
    )
    assert found == PodNetwork(
        interface="eth0",
        address=IPv4Address("10.244.1.7"),
        prefix=24,
        gateway=IPv4Address("10.244.1.1"),
        mtu=1450,
        uses=(
            Use(IPv4Network("10.244.1.7/32"), "eth0"),
            Use(IPv4Network("10.244.1.0/24"), "eth0"),
        ),
    )


def test_calicos_shape() -> None:
    found = read(
        [address(ETH0, "10.65.7.9/32")],
        [route(DEFAULT, ETH0, "169.254.1.1"), route("169.254.1.1/32", ETH0)],
    )
    assert (found.address, found.prefix) == (IPv4Address("10.65.7.9"), 32)
    assert found.gateway == IPv4Address("169.254.1.1")


def test_the_default_route_of_the_lowest_metric_names_the_interface() -> None:
    found = read(
        [address(ETH0, "10.244.1.7/24"), address(NET1, "192.0.2.5/24")],
        [route(DEFAULT, NET1, "192.0.2.1", metric=100), route(DEFAULT, ETH0, "10.244.1.1")],
    )
    assert found.interface == "eth0"


def test_the_routes_mtu_counts_when_it_is_smaller() -> None:
    # Cilium keeps the device at the node's MTU and gives the route its own.
    addresses = [address(ETH0, "10.0.0.7/32")]
    assert read(addresses, [route(DEFAULT, ETH0, mtu=1420)]).mtu == 1420
    assert read(addresses, [route(DEFAULT, ETH0, mtu=9000)]).mtu == 1450


def test_of_several_addresses_the_routes_source_is_taken() -> None:
    addresses = [address(ETH0, "10.244.1.7/24"), address(ETH0, "10.244.1.8/24", 0, True)]
    routes = [route(DEFAULT, ETH0, "10.244.1.1", source="10.244.1.8")]
    assert read(addresses, routes).address == IPv4Address("10.244.1.8")


def test_of_several_addresses_the_first_global_one_is_taken() -> None:
    addresses = [address(ETH0, "169.254.7.7/16", 253), address(ETH0, "10.244.1.7/24")]
    assert read(addresses, [route(DEFAULT, ETH0)]).address == IPv4Address("10.244.1.7")


def test_a_default_route_in_two_halves_is_not_in_the_way() -> None:
    halves = [route("0.0.0.0/1", NET1), route("128.0.0.0/1", NET1)]
    found = read([address(ETH0, "10.244.1.7/24")], [route(DEFAULT, ETH0), *halves])
    assert found.uses == (Use(IPv4Network("10.244.1.7/32"), "eth0"),)


def test_no_default_route_is_an_error() -> None:
    with pytest.raises(LauncherError, match="no IPv4 default route"):
        read([address(ETH0, "10.244.1.7/24")], [route("10.244.1.0/24", ETH0)])


def test_no_address_is_an_error() -> None:
    with pytest.raises(LauncherError, match="eth0, the device of the pod's default route, has no"):
        read([address(NET1, "192.0.2.5/24")], [route(DEFAULT, ETH0)])
