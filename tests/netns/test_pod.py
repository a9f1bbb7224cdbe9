"""The pod's network as the kernel tells it, compared with what `ip` was told to make of it."""

from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from launcher.host import rtnetlink
from launcher.host.rtnetlink import Link, Switch
from launcher.net import pod
from launcher.net.pod import PodNetwork, Use
from tests.pods.namespaces import Namespace, namespaces

NONE = Path("/nonexistent")


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespaces("pod") as (made,):
        made.ip(
            """link add eth0 type veth peer name far0
               link add net1 type veth peer name far1
               link set far0 up
               link set far1 up
               link set eth0 up
               link set net1 up"""
        )
        yield made


def read(space: Namespace) -> PodNetwork:
    return space.call(lambda: pod.read(NONE))


def test_everything_at_once(space: Namespace) -> None:
    space.ip(
        """link set eth0 mtu 1440
           address add 169.254.9.9/16 dev eth0 scope link
           address add 10.1.0.5/24 dev eth0
           address add 10.1.0.6/24 dev eth0
           route add default via 10.1.0.1 dev eth0 src 10.1.0.6 mtu 1400 metric 5
           route add default dev net1 metric 50
           route add 172.16.0.0/12 dev net1
           route add blackhole 192.0.2.0/24
           route add 198.51.100.0/24 dev net1 table 100"""
    )
    assert read(space) == PodNetwork(
        interface="eth0",
        address=IPv4Address("10.1.0.6"),
        prefix=24,
        gateway=IPv4Address("10.1.0.1"),
        mtu=1400,
        uses=(
            Use(IPv4Network("169.254.9.9/32"), "eth0"),
            Use(IPv4Network("10.1.0.5/32"), "eth0"),
            Use(IPv4Network("10.1.0.6/32"), "eth0"),
            Use(IPv4Network("10.1.0.0/24"), "eth0"),
            Use(IPv4Network("169.254.0.0/16"), "eth0"),
            Use(IPv4Network("172.16.0.0/12"), "net1"),
        ),
    )


@pytest.mark.parametrize(
    ("route", "gateway"),
    [
        ("default nexthop via 10.1.0.1 dev eth0 nexthop via 10.1.0.2 dev eth0", "10.1.0.1"),
        ("default via 10.1.0.3 dev eth0 onlink", "10.1.0.3"),
        ("default dev eth0", None),
        ("0.0.0.0/0 via inet6 fe80::1 dev eth0", None),
    ],
    ids=["several hops", "one hop", "no gateway", "an IPv6 gateway"],
)
def test_default_routes_of_all_kinds(space: Namespace, route: str, gateway: str | None) -> None:
    space.ip(f"address add 10.1.0.5/24 dev eth0\nroute add {route}")
    found = read(space)
    assert (found.interface, str(found.address)) == ("eth0", "10.1.0.5")
    assert found.gateway == (IPv4Address(gateway) if gateway else None)


def test_a_route_by_a_nexthop_object(space: Namespace) -> None:
    space.ip(
        """address add 10.1.0.5/24 dev eth0
           nexthop add id 7 via 10.1.0.1 dev eth0
           route add default nhid 7"""
    )
    assert (read(space).interface, read(space).gateway) == ("eth0", IPv4Address("10.1.0.1"))


def test_a_point_to_point_address_is_our_end_of_it(space: Namespace) -> None:
    space.ip("address add 10.1.0.5 peer 10.1.0.1 dev eth0\nroute add default dev eth0")
    assert read(space).address == IPv4Address("10.1.0.5")


def test_more_routes_than_fit_into_one_message(space: Namespace) -> None:
    space.ip("address add 10.1.0.5/24 dev eth0\nroute add default dev eth0")
    count = 2000
    space.ip("\n".join(f"route add 172.16.{n >> 8}.{n & 255} dev net1" for n in range(count)))
    assert len([use for use in read(space).uses if use.interface == "net1"]) == count


def test_switches_are_set_and_read_by_device(space: Namespace) -> None:
    def eth0() -> Link:
        return next(link for link in rtnetlink.links() if link.name == "eth0")

    names = ("forwarding", "route_localnet")
    both = {Switch.FORWARDING: 1, Switch.ROUTE_LOCALNET: 1}
    for values in (both, {Switch.FORWARDING: 0}, {Switch.ROUTE_LOCALNET: 0}):
        space.call(partial(rtnetlink.switch, space.call(eth0).ifindex, values))
        link = space.call(eth0)
        found = [
            int(space.run("cat", f"/proc/sys/net/ipv4/conf/eth0/{name}").strip()) for name in names
        ]
        assert [link.value(Switch.FORWARDING), link.value(Switch.ROUTE_LOCALNET)] == found
        for switch, value in values.items():
            assert link.value(switch) == value
