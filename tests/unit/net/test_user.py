"""The network of a VM behind QEMU's own network stack."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from launcher.host.errors import SettingsError
from launcher.net import network
from launcher.net.pod import Use
from launcher.net.topology import Topology
from launcher.net.user import UserNetwork
from tests.unit.net.conftest import MAC, RESOLV_CONF, pod, settings


def user(resolv_conf: str = RESOLV_CONF, *uses: Use, **environ: str) -> UserNetwork:
    given = {"NETWORK": "user", "HOSTFWD": "tcp::2222-:22", "VNC_PASSWORD_FILE": "/vnc", **environ}
    made = network.make(settings(**given), pod(resolv_conf, *uses), MAC)
    assert isinstance(made, UserNetwork)
    return made


def test_nat_is_what_it_is_otherwise() -> None:
    assert isinstance(network.make(settings(), pod(), MAC), Topology)


@pytest.mark.parametrize(
    ("vm", "gateway", "subnet", "dns"),
    [
        ("192.168.254.2", "192.168.254.1", "192.168.254.0/29", "192.168.254.3"),
        ("192.168.254.1", "192.168.254.2", "192.168.254.0/29", "192.168.254.3"),
        ("10.0.0.6", "10.0.0.5", "10.0.0.0/29", "10.0.0.1"),
    ],
)
def test_three_hosts_of_one_network(vm: str, gateway: str, subnet: str, dns: str) -> None:
    found = user(VM_IP=vm, VM_GW=gateway)
    assert found.subnet == IPv4Network(subnet)
    assert found.dns == IPv4Address(dns)
    hosts = {found.vm_address, found.gateway, found.dns}
    assert len(hosts) == 3
    assert hosts < set(found.subnet.hosts())


def test_a_network_that_the_pod_uses_is_refused_and_a_free_one_proposed() -> None:
    with pytest.raises(SettingsError) as caught:
        user(RESOLV_CONF, Use(IPv4Network("192.168.254.4/30"), "eth0"))
    assert (
        "192.168.254.0/29 overlaps 192.168.254.4/30 on eth0; accepted: a /29 that the pod does not "
        "use (hint: VM_GW=172.31.254.1 and VM_IP=172.31.254.2 are free here)"
    ) in str(caught.value)


def test_names() -> None:
    found = user()
    assert found.host_name == "pet-0"
    assert found.search == ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
    assert found.notices == ()
    assert found.summary == "10.244.1.7 leads to the VM by tcp/2222 (its 22)"


def test_what_nobody_would_find_out_by_looking_is_said() -> None:
    assert user(HOSTFWD="").notices == (
        "HOSTFWD is not set, so nobody reaches the VM over the network",
    )
    assert user("nameserver fd00::53\n").notices == (
        "the pod has no IPv4 name server, so the guest resolves no names",
    )
    assert user("nameserver fd00::53\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n").notices == (
        "QEMU asks only one of the pod's name servers, 10.0.0.1",
    )
    assert user(VNC_PASSWORD_FILE="").notices == (
        "what runs in the guest reaches its screen at 192.168.254.1:5900, unasked",
    )
    assert user(VNC_PASSWORD_FILE="", NO_VNC="yes").notices == ()
    long = user(VM_NAME="a" * 33)
    assert (long.host_name, len(long.notices)) == ("", 1)


def test_search_domains_that_fit() -> None:
    domains = [f"{letter * 60}.test" for letter in "abcd"]
    found = user(f"nameserver 10.96.0.10\nsearch {' '.join(domains)}\n")
    # DHCP's options, 312 bytes: all else takes up to 43 with the host name's 34, and the domain
    # name 67; each domain here has 67.
    assert list(found.search) == domains[:2]
    assert found.notices == (
        f"search domains that do not fit into DHCP are left out: {', '.join(domains[2:])}",
    )
