"""What clients send to the pod's address: all of it is the VM's but what is kept."""

import errno
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.netns.lab import Lab, lab
from tests.pods.traffic import (
    TCP,
    UDP,
    Reply,
    accept,
    answering,
    ask,
    ask_on,
    checksum,
    echo_request,
    listening,
    receive_raw,
    sctp_init,
    send_raw,
)

# GRE with an IPv4 header in it (RFC 2784), and a protocol number left for experiments.
GRE, EXPERIMENT = (47, bytes.fromhex("0000 0800") + bytes(20)), (253, b"anything at all")


@pytest.fixture
def keeping(backend: str, tmp_path: Path) -> Iterator[Lab]:
    with lab("plain", tmp_path) as made:
        made.start({"NAT_BACKEND": backend, "POD_PORTS": "tcp/9180,udp/53,sctp/9"})
        made.boot()
        yield made


def test_the_vm_gets_any_port_and_sees_the_client(up: Lab) -> None:
    for kind in (TCP, UDP):
        for port in (1, 22, 65535):
            with answering(up.vm, kind, port):
                assert ask(up.client, kind, up.pod_ip, port) == Reply("vm", up.client_ip)


def test_the_vm_gets_pings(up: Lab) -> None:
    request = echo_request(77, b"are you there")
    with listening(up.vm, socket.IPPROTO_ICMP) as raw:
        send_raw(up.client, socket.IPPROTO_ICMP, up.pod_ip, request)
        assert receive_raw(raw) == (up.client_ip, request)


def test_the_vm_gets_protocols_without_ports(up: Lab) -> None:
    for protocol, payload in (GRE, EXPERIMENT):
        with listening(up.vm, protocol) as raw:
            send_raw(up.client, protocol, up.pod_ip, payload)
            assert receive_raw(raw) == (up.client_ip, payload)


def test_the_vm_gets_sctp_packets(up: Lab) -> None:
    with listening(up.vm, socket.IPPROTO_SCTP) as raw:
        send_raw(up.client, socket.IPPROTO_SCTP, up.pod_ip, sctp_init(2905))
        source, packet = receive_raw(raw)
    assert (source, packet[:4]) == (up.client_ip, struct.pack("!HH", 40000, 2905))


def has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError as err:
        return err.errno not in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT)
    return True


def test_the_vm_gets_sctp_associations(up: Lab) -> None:
    if not has_sctp():
        pytest.skip("kernel has no SCTP")
    with (
        up.vm.socket(TCP, socket.IPPROTO_SCTP) as server,
        up.client.socket(TCP, socket.IPPROTO_SCTP) as client,
    ):
        server.bind(("", 2905))
        server.listen()
        client.connect((up.pod_ip, 2905))
        with accept(server) as accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
            assert accepted.getpeername()[0] == up.client_ip


def test_the_vm_gets_packets_that_come_in_pieces(up: Lab) -> None:
    # More than any MTU on the way: sent in fragments, of which only the first has ports.
    with up.vm.socket(UDP) as server, up.client.socket(UDP) as client:
        server.bind(("", 7))
        client.sendto(bytes(5000), (up.pod_ip, 7))
        data, (source, _) = server.recvfrom(8192)
    assert (len(data), source) == (5000, up.client_ip)


def test_much_data_comes_through_both_ways(up: Lab) -> None:
    blob = bytes(range(256)) * 8192
    with up.vm.socket(TCP) as server, up.client.socket(TCP) as client:
        server.bind(("", 80))
        server.listen()
        client.connect((up.pod_ip, 80))
        with accept(server) as accepted:
            for sender, receiver in ((client, accepted), (accepted, client)):
                sender.setblocking(False)
                received, rest = 0, memoryview(blob)
                while received < len(blob):
                    if rest:
                        with suppress(BlockingIOError):
                            rest = rest[sender.send(rest) :]
                    received += len(receiver.recv(1 << 20))
                sender.settimeout(10)
                assert received == len(blob)


def test_vnc_stays_with_the_pod(up: Lab) -> None:
    with answering(up.vm, TCP, 5900), answering(up.pod, TCP, 5900, up.pod_ip):
        assert ask(up.client, TCP, up.pod_ip, 5900) == Reply("pod", up.client_ip)
    # Its number in another protocol is a port like any other.
    with answering(up.vm, UDP, 5900), answering(up.pod, UDP, 5900, up.pod_ip):
        assert ask(up.client, UDP, up.pod_ip, 5900).who == "vm"


def test_the_vm_gets_vnc_when_there_is_none(pod: Lab, backend: str) -> None:
    pod.start({"NAT_BACKEND": backend, "NO_VNC": "1"})
    pod.boot()
    with answering(pod.vm, TCP, 5900), answering(pod.pod, TCP, 5900, pod.pod_ip):
        assert ask(pod.client, TCP, pod.pod_ip, 5900).who == "vm"


def test_pod_ports_stay_with_the_pod(keeping: Lab) -> None:
    ip = keeping.pod_ip
    for kind, port, who in (
        (TCP, 9180, "pod"),
        (UDP, 9180, "vm"),
        (UDP, 53, "pod"),
        (TCP, 53, "vm"),
    ):
        with answering(keeping.vm, kind, port), answering(keeping.pod, kind, port, ip):
            assert ask(keeping.client, kind, ip, port).who == who


def test_an_sctp_port_stays_with_the_pod(keeping: Lab) -> None:
    sctp = socket.IPPROTO_SCTP
    with listening(keeping.pod, sctp) as pods, listening(keeping.vm, sctp) as vms:
        send_raw(keeping.client, sctp, keeping.pod_ip, sctp_init(9))
        assert receive_raw(pods)[1][2:4] == struct.pack("!H", 9)
        send_raw(keeping.client, sctp, keeping.pod_ip, sctp_init(10))
        # The first packet to arrive is the second one that was sent.
        assert receive_raw(vms)[1][2:4] == struct.pack("!H", 10)


def test_a_connection_older_than_the_rules_goes_on(pod: Lab, backend: str) -> None:
    """A sidecar's, say. The client speaks first, so the kernel first sees a packet come in."""
    with pod.client.socket(TCP) as server, pod.pod.socket(TCP) as sidecar:
        server.bind(("", 9999))
        server.listen()
        sidecar.connect((pod.client_ip, 9999))
        with accept(server) as connection:
            pod.start({"NAT_BACKEND": backend})
            connection.sendall(b"news")
            assert sidecar.recv(10) == b"news"
            sidecar.sendall(b"thanks")
            assert connection.recv(10) == b"thanks"


def test_a_flow_older_than_the_rules_starts_over(pod: Lab, backend: str) -> None:
    """A client that sends by UDP from one port all the time, and a ping that does not end."""
    # What a mesh's rules do: with them the kernel follows flows even while we are away.
    pod.pod.run("nft", "add", "table", "ip", "mesh")
    pod.pod.run("nft", "add chain ip mesh c { type filter hook input priority 0; }")
    pod.pod.run("nft", "add rule ip mesh c ct state new counter accept")
    with pod.client.socket(UDP) as client:
        client.connect((pod.pod_ip, 514))
        with answering(pod.pod, UDP, 514), answering(pod.pod, UDP, 5353):
            assert ask_on(client).who == "pod"
            pod.start({"NAT_BACKEND": backend, "POD_PORTS": "udp/5353"})
            pod.boot()
            with answering(pod.vm, UDP, 514):
                assert ask_on(client).who == "vm"


def test_an_echo_request_is_well_formed() -> None:
    assert checksum(echo_request(1, b"odd")) == 0
