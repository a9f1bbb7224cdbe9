"""A pod's network namespace and a client that reaches it, joined in one of two shapes.

::

    plain     client ──────────── pod      one /24, the client is the gateway
    calico    client ──── node ── pod      a /32, gateway 169.254.1.1 by proxy ARP
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from tests.pods.namespaces import Namespace, namespaces

Shape = Literal["plain", "calico"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

MTU = 1450
RESOLV_CONF = "nameserver 10.96.0.10\nsearch default.svc.cluster.local cluster.local\n"


@dataclass(frozen=True)
class Site:
    """`uplink` is the pod's interface; nothing runs in either namespace yet."""

    client: Namespace
    pod: Namespace
    client_ip: str
    pod_ip: str
    uplink: str


@contextmanager
def site(shape: Shape) -> Iterator[Site]:
    """Make the namespaces and links of one shape; nothing of it is left afterwards."""
    with namespaces("client", "node", "pod") as (client, node, pod):
        made = _plain(client, pod) if shape == "plain" else _calico(client, node, pod)
        pod.resolv_conf(RESOLV_CONF)
        yield made


def _plain(client: Namespace, pod: Namespace) -> Site:
    """Not called eth0, since nothing promises that name."""
    pod.ip(
        f"""link add ens5 mtu {MTU} type veth peer name pod0 mtu {MTU} netns {client.name}
            link set ens5 up
            address add 10.66.0.2/24 dev ens5"""
    )
    client.ip(
        """link set pod0 up
           address add 10.66.0.1/24 dev pod0"""
    )
    pod.ip("route add default via 10.66.0.1")
    return Site(client, pod, "10.66.0.1", "10.66.0.2", "ens5")


def _calico(client: Namespace, node: Namespace, pod: Namespace) -> Site:
    client.ip(
        f"""link add uplink type veth peer name clients netns {node.name}
            link set uplink up
            address add 198.51.100.2/24 dev uplink"""
    )
    node.ip(
        f"""link set clients up
            address add 198.51.100.1/24 dev clients
            route add default via 198.51.100.2
            link add cali0 mtu {MTU} type veth peer name eth0 netns {pod.name}
            link set cali0 address ee:ee:ee:ee:ee:ee up
            route add 10.65.7.9/32 dev cali0 scope link"""
    )
    node.sysctl(
        ipv4__ip_forward=1, ipv4__conf__cali0__proxy_arp=1, ipv4__neigh__cali0__proxy_delay=0
    )
    pod.ip(
        f"""link set eth0 mtu {MTU} up
            address add 10.65.7.9/32 dev eth0
            route add 169.254.1.1 dev eth0 scope link
            route add default via 169.254.1.1 dev eth0"""
    )
    client.ip("route add 10.65.7.9/32 via 198.51.100.1")
    return Site(client, pod, "198.51.100.2", "10.65.7.9", "eth0")
