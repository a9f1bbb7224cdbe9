"""Who reaches a VM and whom it reaches, on each of the nodes: with ordinary pods, and Calico's."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.cluster import namespaces, peer
from tests.cluster.peer import Peer
from tests.cluster.release import Defaults, Release, install
from tests.cluster.target import Target
from tests.pods.ssh import Client

NODES = 2
# Any port will do, as all lead to the VM; these are not in any list.
TCP_PORT, UDP_PORT = 31337, 5353
SERVICE = {
    "ports": {
        "ssh": 22,
        "web": {"port": 80, "targetPort": 8080},
        "echo": {"port": 7, "protocol": "UDP", "targetPort": UDP_PORT},
    }
}


class Vm(NamedTuple):
    """`ports` is the name of the Service before it."""

    release: Release
    client: Client

    @property
    def address(self) -> str:
        return self.client.address

    @property
    def ports(self) -> str:
        return f"{self.release.name}-ports"

    def ssh(self, command: str) -> str:
        return self.client.run(command).decode().removesuffix("\n")

    def listen(self, command: str, port: int) -> None:
        """Start something in the guest that listens."""
        self.ssh(f"({command}) >/dev/null 2>&1 &")
        self.ssh(f"until netstat -lun -ltn | grep -q ':{port} '; do usleep 20000; done")


@pytest.fixture(scope="module")
def nodes(cluster: Target) -> list[str]:
    names = cluster.kubectl("get", "nodes", "-o", "name").replace("node/", "").split()
    return [names[index % len(names)] for index in range(NODES)]


class Neighbours(NamedTuple):
    """A VM on each node, and a pod on the first one."""

    releases: list[Release]
    peer: Peer


@pytest.fixture(scope="module")
def neighbours(cluster: Target, defaults: Defaults, nodes: list[str]) -> Iterator[Neighbours]:
    with namespaces.namespace(cluster) as namespace:
        releases = [
            install(
                defaults,
                f"vm{index}",
                {"service": SERVICE, "nodeSelector": {"kubernetes.io/hostname": node}},
                namespace,
            )
            for index, node in enumerate(nodes)
        ]
        yield Neighbours(releases, peer.start(namespace, "peer", defaults.image, nodes[0]))


@pytest.fixture(scope="module", params=range(NODES), ids=lambda index: f"node{index}")
def vm(request: pytest.FixtureRequest, neighbours: Neighbours, nodes: list[str]) -> Vm:
    release = neighbours.releases[request.param]
    # A Service leads to those pods only that are ready.
    release.wait_ready()
    assert release.namespace.get("pod/" + release.pod(), ".spec.nodeName") == nodes[request.param]
    return Vm(release, release.wait_for_ssh())


@pytest.fixture
def other(neighbours: Neighbours) -> Peer:
    return neighbours.peer


SHOW_CLIENT = "echo $SSH_CLIENT | cut -d ' ' -f 1"


def test_ssh_from_this_machine(vm: Vm, cluster: Target) -> None:
    saw = vm.ssh(SHOW_CLIENT)
    assert cluster.own is None or saw == cluster.own.host


def test_ssh_from_a_pod_by_every_name(vm: Vm, other: Peer) -> None:
    pod, name = vm.release.pod(), vm.release.name
    for host in (vm.address, f"{pod}.{name}", vm.ports):
        client = Client(None, host, vm.client.key, vm.client.known_hosts, alias=vm.client.alias)
        # The VM sees its clients' own addresses.
        assert other.ssh(client, SHOW_CLIENT) == other.address, host


def test_other_ports(vm: Vm, other: Peer) -> None:
    vm.listen(f"echo any port | nc -l -p {TCP_PORT}", TCP_PORT)
    assert other.hear(vm.address, TCP_PORT) == "any port\n"


def test_a_service_leads_to_another_port(vm: Vm, other: Peer) -> None:
    vm.listen("echo port 8080 | nc -l -p 8080", 8080)
    assert other.hear(vm.ports, 80) == "port 8080\n"


@pytest.mark.parametrize("by", ["pod", "service"])
def test_udp(vm: Vm, other: Peer, by: str) -> None:
    pipe = f"/run/echo-{by}"
    vm.listen(f"mkfifo {pipe}; nc.openbsd -u -l {UDP_PORT} <{pipe} | cat >{pipe}", UDP_PORT)
    host, port = (vm.address, UDP_PORT) if by == "pod" else (vm.ports, 7)
    assert other.echo(host, port, "a datagram") == "a datagram"
    vm.ssh("killall nc.openbsd")


def test_the_vm_reaches_a_pod_as_its_own_pod(vm: Vm, other: Peer) -> None:
    said = json.loads(vm.ssh(f"nc {other.address} {peer.PORT}"))
    assert said == {"who": other.name, "saw": vm.address}


def test_the_vm_reaches_a_service_by_its_short_name(vm: Vm, other: Peer) -> None:
    assert json.loads(vm.ssh(f"nc.openbsd {other.name} 80"))["who"] == other.name


def test_the_vm_reaches_what_is_outside_of_the_cluster(vm: Vm, defaults: Defaults) -> None:
    assert "tiny.qcow2" in vm.ssh(f"wget -q -O - {defaults.guest.checksum}")


def test_the_vm_reaches_itself(vm: Vm) -> None:
    name = f"{vm.release.pod()}.{vm.release.name}"
    for host in (vm.address, name, vm.ports):
        assert vm.ssh(f"nc.openbsd {host} 22 </dev/null | head -c 4") == "SSH-", host
