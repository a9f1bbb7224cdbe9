"""What the VM sends: out as the pod, and to itself by the pod's address."""

import socket
import struct

import pytest

from tests.netns.lab import VM_GW, VM_IP, Lab
from tests.netns.podnet import MAC
from tests.pods.namespaces import Namespace
from tests.pods.traffic import (
    TCP,
    UDP,
    Reply,
    answering,
    ask,
    checksum,
    echo_request,
    listening,
    receive_raw,
    send_raw,
)

LINK_IP = 0x0800


@pytest.fixture(params=[0, 1], ids=["plain bridge", "bridge calls iptables"])
def hairpin(request: pytest.FixtureRequest, pod: Lab, backend: str) -> Lab:
    """Nodes differ in whether bridges hand their frames to iptables; each goes its own way."""
    pod.pod.sysctl(**{"bridge__bridge-nf-call-iptables": request.param})
    pod.start({"NAT_BACKEND": backend})
    pod.boot()
    return pod


def test_the_vm_calls_out_as_the_pod(up: Lab) -> None:
    for kind in (TCP, UDP):
        with answering(up.client, kind, 443):
            assert ask(up.vm, kind, up.client_ip, 443) == Reply("client", up.pod_ip)
    with listening(up.client, socket.IPPROTO_ICMP) as raw:
        send_raw(up.vm, socket.IPPROTO_ICMP, up.client_ip, echo_request(5, b"out"))
        assert receive_raw(raw)[0] == up.pod_ip


def test_the_vm_reaches_itself_by_the_pods_address(hairpin: Lab) -> None:
    for kind in (TCP, UDP):
        with answering(hairpin.vm, kind, 80):
            assert ask(hairpin.vm, kind, hairpin.pod_ip, 80) == Reply("vm", VM_GW)


def test_the_vm_is_not_told_of_a_shorter_way_to_itself(hairpin: Lab) -> None:
    """A router would send an ICMP redirect, but the way that tells of leads nowhere.

    No rule of ours is needed: the kernel drops redirects about what it translates.
    """
    icmp = socket.IPPROTO_ICMP
    with listening(hairpin.vm, icmp) as raw, answering(hairpin.vm, UDP, 80):
        ask(hairpin.vm, UDP, hairpin.pod_ip, 80)
        # Sent last, so it arrives last.
        send_raw(hairpin.vm, icmp, VM_GW, echo_request(6, b"last"))
        source, packet = receive_raw(raw)
        assert (source, packet[0]) == (VM_GW, 0), "something came before the echo reply"


def test_the_vm_reaches_the_screen_as_anyone_does(up: Lab) -> None:
    with answering(up.pod, TCP, 5900, up.pod_ip):
        assert ask(up.vm, TCP, up.pod_ip, 5900) == Reply("pod", VM_IP)


def test_the_vm_has_no_other_way_to_the_screen(up: Lab) -> None:
    with (
        answering(up.pod, TCP, 5900, up.pod_ip),
        answering(up.pod, TCP, 5900, "127.0.0.1"),
        pytest.raises(ConnectionRefusedError),
    ):
        ask(up.vm, TCP, VM_GW, 5900)


@pytest.mark.parametrize(
    ("source", "destination"),
    [(VM_IP, "127.0.0.1"), ("127.0.0.2", "127.0.0.1"), ("127.0.0.2", VM_GW)],
    ids=["to loopback", "loopback to loopback", "from loopback"],
)
def test_the_vm_cannot_pose_as_loopback(up: Lab, source: str, destination: str) -> None:
    """The bridge routes 127.0.0.0/8, which nothing but an answer may make use of."""
    gateway = json_of(up.pod, "link", "show", "br0")["address"]
    with up.pod.socket(UDP) as service:
        service.bind(("0.0.0.0", 5900))
        send_frame(up.vm, gateway, udp_packet(source, destination, 5900, b"forged"))
        send_frame(up.vm, gateway, udp_packet(VM_IP, VM_GW, 5900, b"honest"))
        assert service.recvfrom(64)[0] == b"honest"


def json_of(space: Namespace, *arguments: str) -> dict[str, str]:
    import json

    found: dict[str, str] = json.loads(space.run("ip", "-json", *arguments))[0]
    return found


def udp_packet(source: str, destination: str, port: int, payload: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram in it, the latter without a checksum."""
    udp = struct.pack("!HHHH", 1234, port, 8 + len(payload), 0) + payload
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0)
    digest = struct.pack("!H", checksum(head + ends))
    return head[:10] + digest + ends + udp


def send_frame(space: Namespace, mac: str, packet: bytes) -> None:
    """Send a packet past the kernel, which would not route it."""
    raw = space.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    with raw:
        raw.bind(("eth0", 0))
        ends = bytes.fromhex(mac.replace(":", "") + MAC.replace(":", ""))
        raw.send(ends + struct.pack("!H", LINK_IP) + packet)
