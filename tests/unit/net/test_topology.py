from ipaddress import IPv4Address, IPv4Network

import pytest

from launcher.host.errors import SettingsError
from launcher.net.pod import Use
from launcher.net.topology import gateway_mac, make
from launcher.settings.parse import Port
from tests.unit.net.conftest import MAC, RESOLV_CONF, pod, settings, topology

GATEWAY = IPv4Address("192.168.254.1")


def use(network: str, interface: str = "eth0") -> Use:
    return Use(IPv4Network(network), interface)


def test_the_gateways_mac_follows_from_the_vms_and_is_local_and_nobody_elses() -> None:
    assert gateway_mac("06:FE:12:34:56:78") == "0a:fe:12:34:56:78"
    first = int(gateway_mac(MAC)[:2], 16)
    assert first & 0b11 == 0b10, "not a local address of one device"


def test_vnc_and_the_pods_ports_are_kept() -> None:
    assert topology().kept == (Port("tcp", 5900),)
    assert topology(NO_VNC="yes").kept == ()
    assert topology(POD_PORTS="udp/53,tcp/5900").kept == (Port("tcp", 5900), Port("udp", 53))
    assert topology(POD_PORTS="tcp/5900", NO_VNC="1").kept == (Port("tcp", 5900),)


def test_the_mtu_is_the_pods_as_far_as_a_tap_goes() -> None:
    assert topology(mtu=9001).mtu == 9001
    assert topology(mtu=65535).mtu == 65521


@pytest.mark.parametrize(
    "taken",
    ["192.168.254.2/32", "192.168.254.0/24", "192.168.0.0/16", "192.168.254.1/32"],
)
def test_a_network_that_the_pod_uses_is_refused_and_a_free_one_proposed(taken: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make(settings(), pod(RESOLV_CONF, use(taken)), MAC)
    assert str(caught.value) == (
        "a setting is wrong:\n  - VM_IP='192.168.254.2' and VM_GW='192.168.254.1' are not "
        f"accepted: 192.168.254.0/30 overlaps {taken} on eth0; accepted: a /30 that the pod does "
        "not use (hint: VM_GW=172.31.254.1 and VM_IP=172.31.254.2 are free here)"
    )


def test_neighbours_do_not_overlap_and_our_own_bridge_does_not_count() -> None:
    uses = (use("192.168.254.4/30"), use("10.0.0.0/8"), use("192.168.254.0/30", "br0"))
    assert make(settings(), pod(RESOLV_CONF, *uses), MAC).gateway == GATEWAY


def test_a_name_server_inside_of_it_is_refused() -> None:
    with pytest.raises(SettingsError, match="has the pod's name server"):
        make(settings(), pod("nameserver 192.168.254.2\n"), MAC)


def test_the_clusters_name_servers_are_handed_on() -> None:
    found = topology("nameserver 10.96.0.10\nnameserver 10.96.0.11\n")
    assert [str(each) for each in found.dns] == ["10.96.0.10", "10.96.0.11"]
    assert (found.forward_dns, found.notices) == ((), ())


def test_ipv6_servers_are_left_out_when_there_are_others() -> None:
    found = topology("nameserver fd00::53\nnameserver 10.96.0.10\n")
    assert found.dns == (IPv4Address("10.96.0.10"),)
    assert found.notices == ("name servers the guest cannot reach are left out: fd00::53",)


@pytest.mark.parametrize(
    ("servers", "own"),
    [
        (["127.0.0.11"], []),
        (["127.0.0.53"], []),
        (["127.0.0.1"], ["127.0.0.1"]),
        (["10.244.1.7"], ["10.244.1.7"]),
        (["::1"], []),
        (["fd00::53"], []),
        (["127.0.0.11", "10.96.0.10"], []),
    ],
)
def test_servers_out_of_the_guests_reach_are_asked_for_it(
    servers: list[str], own: list[str]
) -> None:
    found = topology("".join(f"nameserver {server}\n" for server in servers))
    assert found.dns == (GATEWAY,)
    assert found.forward_dns == tuple(servers)
    assert [str(each) for each in found.own_resolvers] == own
    assert found.needs_dnsmasq
    assert found.notices == (
        f"the guest cannot reach the pod's name servers ({', '.join(servers)}), so 192.168.254.1 "
        "answers it and asks them",
    )


def test_no_name_server_is_told() -> None:
    found = topology("")
    assert (found.dns, found.forward_dns) == ((), ())
    assert found.notices == ("the pod has no name server, so the guest is given none",)


def test_dnsmasq_is_needed_for_dhcp_or_for_dns() -> None:
    assert topology().needs_dnsmasq
    assert not topology(NO_DHCP="1").needs_dnsmasq
    assert topology("nameserver 127.0.0.11\n", NO_DHCP="1").needs_dnsmasq


def test_search_domains_that_do_not_fit_are_left_out_and_told() -> None:
    domains = [f"{'d' * 50}{number}.example" for number in range(5)]
    found = topology(f"search {' '.join(domains)}\nnameserver 10.96.0.10\n")
    # Four of them are 4 × (59 + 2) = 244 bytes; a DHCP option has room for 255.
    assert found.search == tuple(domains[:4])
    assert found.notices == (
        f"search domains that do not fit into DHCP are left out: {domains[4]}",
    )


def test_words_in_resolv_conf_that_are_not_understood_are_told() -> None:
    notice = "resolv.conf has words that are not understood: nonsense"
    assert notice in topology("nameserver nonsense\nnameserver 10.96.0.10\n").notices
