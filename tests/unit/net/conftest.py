"""Pods and settings to plan with."""

from ipaddress import IPv4Address

import pytest

from launcher.host.container import Container
from launcher.net.pod import PodNetwork, Use
from launcher.net.resolver import parse
from launcher.net.topology import Topology, make
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings

MAC = "06:fe:12:34:56:78"
RESOLV_CONF = """\
search default.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
"""


def settings(**environ: str) -> Settings:
    return load({"IMG_TARGET": "unused", **environ}, Surroundings(Container(hostname="pet-0")))


def pod(resolv_conf: str = RESOLV_CONF, *uses: Use, mtu: int = 1450) -> PodNetwork:
    found = parse(resolv_conf)
    return PodNetwork(
        interface="eth0",
        address=IPv4Address("10.244.1.7"),
        prefix=24,
        gateway=IPv4Address("10.244.1.1"),
        mtu=mtu,
        nameservers=found.nameservers,
        search=found.search,
        unreadable=found.ignored,
        uses=uses,
    )


def topology(resolv_conf: str = RESOLV_CONF, mtu: int = 1450, **environ: str) -> Topology:
    return make(settings(**environ), pod(resolv_conf, mtu=mtu), MAC)


# The pods and settings that goldens exist for.
CASES = {
    "default": topology(),
    "no-vnc": topology(NO_VNC="1"),
    "pod-ports": topology(POD_PORTS="udp/53,tcp/9180,sctp/9"),
    "docker": topology("nameserver 127.0.0.11\noptions ndots:0\n", mtu=1500),
    "resolver-on-loopback": topology("nameserver 127.0.0.1\nnameserver fd00::53\n"),
    "no-dhcp": topology(NO_DHCP="1", VM_IP="172.20.1.1", VM_GW="172.20.1.2"),
    "no-resolver": topology(""),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[str, Topology]:
    return request.param, CASES[request.param]
