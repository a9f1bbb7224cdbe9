import pytest

from launcher.net.nat.conntrack import Flow, is_stale
from tests.unit.net.conftest import topology

TCP, UDP, ICMP, SCTP = 6, 17, 1, 132
POD, VM = "10.244.1.7", "192.168.254.2"
NETWORK = topology("nameserver 127.0.0.1\n", POD_PORTS="udp/5353,sctp/9")


@pytest.mark.parametrize(
    "flow",
    [
        Flow(UDP, POD, POD, 514),
        Flow(UDP, "127.0.0.1", "127.0.0.1", 514),
        Flow(UDP, POD, POD, 53),
        Flow(SCTP, POD, POD, 10),
        Flow(ICMP, POD, POD),
        Flow(47, POD, POD),
    ],
)
def test_what_ends_in_the_pod_but_belongs_to_the_vm_is_stale(flow: Flow) -> None:
    assert is_stale(flow, NETWORK)


@pytest.mark.parametrize(
    "flow",
    [
        Flow(UDP, POD, VM, 514),
        Flow(TCP, POD, POD, 80),
        Flow(UDP, POD, POD, 5353),
        Flow(SCTP, POD, POD, 9),
        Flow(UDP, "127.0.0.1", "127.0.0.1", 53),
        Flow(UDP, "127.0.0.11", "127.0.0.11", 53),
        Flow(UDP, "203.0.113.1", "203.0.113.1", 443),
    ],
    ids=["the VM's", "TCP", "kept", "kept SCTP", "own resolver", "Docker's", "outward"],
)
def test_what_is_where_it_belongs_is_not(flow: Flow) -> None:
    assert not is_stale(flow, NETWORK)
