"""What the VM is told by DHCP, and who answers its questions."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.netns.lab import VM_GW, VM_IP, Lab
from tests.pods.namespaces import Namespace
from tests.pods.traffic import TCP, UDP, answering, ask


def test_the_lease_has_the_pods_network_in_it(pod: Lab) -> None:
    pod.pod.resolv_conf(
        "# kubelet writes such a file\n"
        "search default.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.96.0.10\nnameserver 10.96.0.11\nnameserver 10.96.0.12\n"
        "options ndots:5\n"
    )
    pod.start({"VM_NAME": "web-0"})
    lease = pod.boot()
    assert (lease["ip"], lease["subnet"], lease["router"]) == (VM_IP, "255.255.255.252", VM_GW)
    assert lease["dns"] == "10.96.0.10 10.96.0.11 10.96.0.12"
    assert lease["search"] == "default.svc.cluster.local svc.cluster.local cluster.local"
    assert lease["domain"] == "default.svc.cluster.local"
    assert (lease["hostname"], lease["mtu"]) == ("web-0", "1450")
    assert lease["lease"] == str(2**32 - 1), "not for ever"


def test_a_route_may_have_a_smaller_mtu_than_its_device(pod: Lab) -> None:
    pod.pod.ip("route replace default via 10.66.0.1 mtu 1400")
    pod.start()
    assert pod.boot()["mtu"] == "1400"


def test_addresses_of_ones_own_choice(pod: Lab) -> None:
    pod.start({"VM_IP": "172.20.1.1", "VM_GW": "172.20.1.2"})
    lease = pod.boot()
    assert (lease["ip"], lease["router"]) == ("172.20.1.1", "172.20.1.2")
    with answering(pod.vm, TCP, 22):
        assert ask(pod.client, TCP, pod.pod_ip, 22).who == "vm"


def test_no_search_and_no_name_server(pod: Lab) -> None:
    pod.pod.resolv_conf("")
    podnet = pod.start()
    lease = pod.boot()
    assert "dns" not in lease
    assert "search" not in lease
    assert podnet.report["notices"] == ["the pod has no name server, so the guest is given none"]


def test_the_lease_is_for_the_vms_nic_only(pod: Lab) -> None:
    pod.start()
    pod.vm.ip("link set eth0 down address 06:fe:00:00:00:02 up")
    with pytest.raises(AssertionError, match="no lease, failing"):
        pod.boot(tries=1)


def test_no_dhcp_server_when_none_is_wanted(pod: Lab) -> None:
    pod.start({"NO_DHCP": "1"})
    with pod.pod.socket(UDP) as server:
        # Nobody has its port.
        server.bind(("", 67))
    pod.configure_vm()
    with answering(pod.vm, TCP, 22):
        assert ask(pod.client, TCP, pod.pod_ip, 22).who == "vm"


def test_dnsmasq_speaks_on_the_bridge_only(pod: Lab) -> None:
    pod.pod.resolv_conf("nameserver 127.0.0.11\n")
    pod.start({"POD_PORTS": "tcp/53,udp/53"})
    # Nobody has its ports on the pod's side, or these would fail.
    for address in (pod.pod_ip, "127.0.0.1"):
        for kind in (TCP, UDP):
            with answering(pod.pod, kind, 53, address):
                pass
    with pytest.raises(ConnectionRefusedError):
        ask(pod.client, TCP, pod.pod_ip, 53)


def test_dnsmasq_that_cannot_start_says_why(pod: Lab) -> None:
    with pod.pod.socket(UDP) as taken:
        taken.bind(("", 67))
        words = pod.fail()
    assert "dnsmasq did not start" in words
    assert "failed to bind DHCP server socket: Address already in use" in words


@contextmanager
def name_server(space: Namespace, address: str) -> Iterator[None]:
    """A DNS server that knows one answer, 203.0.113.7, to every question."""
    with space.socket(UDP) as server:
        server.bind((address, 53))

        def serve() -> None:
            while (request := server.recvfrom(4096))[0] != b"stop":
                question, peer = request
                # RFC 1035: an answer, of one record whose name points back to the question's.
                head = question[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
                end = question.index(0, 12) + 5
                record = bytes.fromhex("c00c 0001 0001 0000003c 0004 cb007107")
                server.sendto(head + question[12:end] + record, peer)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            with space.socket(UDP) as stopper:
                stopper.sendto(b"stop", (address, 53))
            thread.join()


def resolve(space: Namespace, server: str) -> str:
    question = bytes.fromhex("4242 0100 0001 0000 0000 0000") + b"\3www\7example\0\0\1\0\1"
    with space.socket(UDP) as client:
        client.connect((server, 53))
        client.send(question)
        answer = client.recv(4096)
    assert answer[:2] == question[:2]
    return socket.inet_ntoa(answer[-4:])


@pytest.mark.parametrize("resolver", ["127.0.0.11", "127.0.0.1", "10.66.0.2"])
def test_a_resolver_inside_of_the_pod_is_asked_through_dnsmasq(pod: Lab, resolver: str) -> None:
    """Docker's, one on the pod's 127.0.0.1, and one on its own address."""
    pod.pod.resolv_conf(f"nameserver {resolver}\n")
    with name_server(pod.pod, resolver):
        pod.start()
        assert pod.boot()["dns"] == VM_GW
        assert resolve(pod.vm, VM_GW) == "203.0.113.7"
        # The pod's own processes ask it as before.
        assert resolve(pod.pod, resolver) == "203.0.113.7"


def test_a_resolver_of_the_clusters_is_asked_by_the_vm_itself(pod: Lab) -> None:
    pod.pod.resolv_conf(f"nameserver fd00::53\nnameserver {pod.client_ip}\n")
    with name_server(pod.client, pod.client_ip):
        podnet = pod.start()
        assert pod.boot()["dns"] == pod.client_ip
        assert resolve(pod.vm, pod.client_ip) == "203.0.113.7"
    assert podnet.report["notices"] == [
        "name servers the guest cannot reach are left out: fd00::53"
    ]


def test_dns_works_without_dhcp(pod: Lab) -> None:
    pod.pod.resolv_conf("nameserver 127.0.0.11\n")
    with name_server(pod.pod, "127.0.0.11"):
        pod.start({"NO_DHCP": "1"})
        pod.configure_vm()
        assert resolve(pod.vm, VM_GW) == "203.0.113.7"
