"""What the pod's own processes send: probes, port-forward, sidecars."""

import socket

import pytest

from tests.netns.lab import VM_GW, Lab
from tests.pods.traffic import (
    TCP,
    UDP,
    Reply,
    accept,
    answering,
    ask,
    echo_request,
    listening,
    receive_raw,
    send_raw,
)


def test_the_pod_reaches_the_vm_by_loopback_and_by_its_own_address(up: Lab) -> None:
    for kind in (TCP, UDP):
        with answering(up.vm, kind, 8080):
            assert ask(up.pod, kind, "127.0.0.1", 8080) == Reply("vm", VM_GW)
            assert ask(up.pod, kind, up.pod_ip, 8080) == Reply("vm", up.pod_ip)


def test_the_pods_pings_reach_the_vm(up: Lab) -> None:
    with listening(up.vm, socket.IPPROTO_ICMP) as raw:
        send_raw(up.pod, socket.IPPROTO_ICMP, "127.0.0.1", echo_request(9, b"exec probe"))
        assert receive_raw(raw)[0] == VM_GW


def test_kept_ports_are_the_pods_from_inside_too(pod: Lab, backend: str) -> None:
    pod.start({"NAT_BACKEND": backend, "POD_PORTS": "udp/9180"})
    pod.boot()
    for address in ("127.0.0.1", pod.pod_ip):
        for kind, port in ((TCP, 5900), (UDP, 9180)):
            with answering(pod.vm, kind, port), answering(pod.pod, kind, port, address):
                assert ask(pod.pod, kind, address, port) == Reply("pod", address)


def test_the_rest_of_loopback_is_the_pods(up: Lab) -> None:
    with answering(up.vm, UDP, 53), answering(up.pod, UDP, 53, "127.0.0.11"):
        assert ask(up.pod, UDP, "127.0.0.11", 53).who == "pod"


def test_the_pod_calls_out_as_ever(up: Lab) -> None:
    with answering(up.client, TCP, 443):
        assert ask(up.pod, TCP, up.client_ip, 443) == Reply("client", up.pod_ip)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.66.0.2"])
def test_connections_within_the_pod_outlive_the_rules_coming(
    pod: Lab, backend: str, address: str
) -> None:
    with pod.pod.socket(TCP) as server, pod.pod.socket(TCP) as client:
        server.bind((address, 15000))
        server.listen()
        client.connect((address, 15000))
        with accept(server) as connection:
            pod.start({"NAT_BACKEND": backend})
            for sender, receiver in ((client, connection), (connection, client)):
                sender.sendall(b"still here")
                assert receiver.recv(20) == b"still here"
