"""Every example, installed by the commands in its comment, reached, and asked what it is for."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.chart.examples import Example, Mistake, examples, mistakes
from tests.cluster import artifact, namespaces
from tests.cluster.example import Installed, install
from tests.cluster.namespaces import Namespace
from tests.cluster.release import CHART, Defaults, wait_until
from tests.cluster.served import Guests
from tests.cluster.target import CommandError, Target
from tests.guests import tiny

# VMs share the processors, but while one boots another one's pod is made, or waits for a probe.
AT_ONCE = 5

# Those that need a real cloud-init. They take longest, so they are the first to be started.
DEBIAN = ("web-server", "static-network")
MEMORY, DEBIAN_MEMORY = "192Mi", "512Mi"

# Seconds for one of them to be up, while others boot beside it; and for the last of them all.
PATIENCE = 900.0
pytestmark = pytest.mark.timeout(1800)

GIB = 1 << 30

EXAMPLES = {example.name: example for example in examples()}


def reach(vm: Installed) -> None:
    """What is true for all: each VM lets root in, and is who it should be."""
    for pod in vm.pods():
        name = pod["metadata"]["name"]
        vm.client(name).wait(PATIENCE)
        assert vm.ssh("hostname", name) == name


def appliance(vm: Installed) -> None:
    reach(vm)
    vm.client().attempt("poweroff")
    (pod,) = vm.pods()
    vm.namespace.wait(f"pod/{pod['metadata']['name']}", "condition=Ready=false", PATIENCE)
    (status,) = vm.pods()[0]["status"]["containerStatuses"]
    assert (status["restartCount"], list(status["state"])) == (0, ["running"])


def extra_disks(vm: Installed) -> None:
    reach(vm)
    sizes = vm.ssh("cat /sys/block/vdb/size /sys/block/vdc/size").split()
    assert [int(size) * 512 for size in sizes] == [50 * GIB, 10 * GIB]


def fleet(vm: Installed) -> None:
    reach(vm)
    pods = vm.pods()
    nodes = len(vm.get("nodes")["items"])
    assert len(pods) == vm.example.values["replicas"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == min(nodes, len(pods))


def from_registry(vm: Installed) -> None:
    reach(vm)
    (pod,) = vm.pods()
    bases = vm.namespace.kubectl("exec", pod["metadata"]["name"], "--", "berth", "images")
    assert "source   /images/disk.qcow2, fetched" in bases


def legacy_vm(vm: Installed) -> None:
    # Nothing gives it keys: it is up, and shows its own login.
    vm.client().wait(PATIENCE)
    (pod,) = vm.pods()
    log = vm.namespace.kubectl("logs", pod["metadata"]["name"])
    assert "no config drive" in log


def locked_down(vm: Installed) -> None:
    reach(vm)
    (policy,) = vm.get("networkpolicy")["items"]
    assert [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"]] == [22, 8200]
    (budget,) = vm.get("poddisruptionbudget")["items"]
    assert budget["status"]["disruptionsAllowed"] == 1


def one_volume(vm: Installed) -> None:
    reach(vm)
    (claim,) = vm.get("persistentvolumeclaims")["items"]
    assert claim["metadata"]["name"] == "pet-solo-0"
    # As it promises: nothing stays.
    vm.namespace.helm("uninstall", vm.example.release, "--wait", timeout=PATIENCE)
    vm.namespace.kubectl("wait", "pvc/pet-solo-0", "--for=delete", "--timeout=100s", timeout=110)


def outside(vm: Installed) -> None:
    reach(vm)
    ports = vm.get("service/edge-ports")["spec"]["ports"]
    (port,) = (port["nodePort"] for port in ports if port["name"] == "ssh")
    (pod,) = vm.pods()
    with socket.create_connection((pod["status"]["hostIP"], port), PATIENCE) as connection:
        assert connection.recv(4) == b"SSH-"


def own_userdata(vm: Installed) -> None:
    reach(vm)
    written = vm.example.path.with_suffix("") / "userdata.yaml"
    user_data = vm.client().run("cat /config/openstack/latest/user_data")
    assert user_data == written.read_bytes()
    # Names that OpenStack has are in its spelling. cloud-init would take that host name, but this
    # guest goes by DHCP's.
    meta_data = json.loads(vm.ssh("cat /config/openstack/latest/meta_data.json"))
    expected = {"hostname": "app.example.org", "availability_zone": "cellar", "role": "front"}
    assert meta_data == {**meta_data, **expected}


def restricted(vm: Installed) -> None:
    reach(vm)
    (pod,) = vm.pods()
    assert vm.namespace.kubectl("exec", pod["metadata"]["name"], "--", "id", "-u") == "107\n"


def static_network(vm: Installed) -> None:
    reach(vm)
    route = json.loads(vm.ssh("ip -json route show default"))[0]
    assert (route["gateway"], route["protocol"]) == ("10.254.254.1", "static")
    # The search domains are there, too.
    assert vm.ssh("getent hosts fixed")


def three_vms(vm: Installed) -> None:
    reach(vm)
    names = {pod["metadata"]["name"] for pod in vm.pods()}
    assert names == {"shop-front-0", "shop-front-1", "shop-db-0", "shop-ci-0"}
    assert int(vm.ssh("cat /sys/block/vda/size", "shop-db-0")) * 512 == 100 * GIB


def web_server(vm: Installed) -> None:
    reach(vm)
    (pod,) = vm.pods()
    with socket.create_connection((pod["status"]["podIP"], 80), PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        page = connection.makefile("rb").read()
    assert b"<h1>A VM in a pod</h1>" in page
    # The Service by its short name, from the VM itself.
    fetch = "from urllib.request import urlopen; print(urlopen('http://site-ports').read())"
    wait_until(lambda: "A VM in a pod" in vm.ssh(f'python3 -c "{fetch}" 2>&1 || true'))


# What is special about an example. Those that are not here are reached by ssh.
CHECKS: dict[str, Callable[[Installed], None]] = {
    "appliance": appliance,
    "extra-disks": extra_disks,
    "fleet": fleet,
    "from-registry": from_registry,
    "legacy-vm": legacy_vm,
    "locked-down": locked_down,
    "one-volume": one_volume,
    "outside": outside,
    "own-userdata": own_userdata,
    "restricted": restricted,
    "static-network": static_network,
    "three-vms": three_vms,
    "web-server": web_server,
}

# Pod Security that the example's namespace enforces.
LEVELS = {"restricted": "restricted"}

# Files that its user has.
FILES = {"legacy-vm": {"old-server.qcow2": tiny.image}}


# Container images with a disk image in them, by the name that the example pulls.
PULLED = {"from-registry": ("registry.example.org/disks/server:1", tiny.image)}


def prove(example: Example, cluster: Target, guests: Guests, defaults: Defaults) -> None:
    """Install it, reach it, remove it.

    :raise AssertionError: with all that there is to know about it.
    """
    if example.name in DEBIAN:
        defaults = defaults._replace(guest=guests.debian)
    memory = DEBIAN_MEMORY if example.name in DEBIAN else MEMORY
    folder = defaults.folder / example.name
    folder.mkdir()
    for name, made in FILES.get(example.name, {}).items():
        shutil.copy(made(), folder / name)
    if example.name in PULLED:
        reference, made = PULLED[example.name]
        (work := folder / "pulled").mkdir()
        artifact.load(cluster, reference, made(), work)
    with namespaces.namespace(cluster, LEVELS.get(example.name, "")) as namespace:
        try:
            vm = install(example, namespace, defaults, folder, memory)
            vm.wait(PATIENCE)
            CHECKS.get(example.name, reach)(vm)
        except BaseException as error:
            error.add_note(namespace.describe())
            raise


@pytest.fixture(scope="module")
def proofs(
    request: pytest.FixtureRequest, cluster: Target, guests: Guests, defaults: Defaults
) -> Iterator[dict[str, Future[None]]]:
    """Of those examples that are to be tested in this run, several at once."""
    items: list[Any] = [each for each in request.session.items if each.path == request.path]
    names = {item.callspec.params["name"] for item in items if "proofs" in item.fixturenames}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {
            name: pool.submit(prove, EXAMPLES[name], cluster, guests, defaults)
            for name in sorted(names, key=lambda name: (name not in DEBIAN, name))
        }
        yield futures
        for future in futures.values():
            future.cancel()


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str, proofs: dict[str, Future[None]]) -> None:
    proofs[name].result()


def test_mistakes_leave_nothing_behind(namespace: Namespace, defaults: Defaults) -> None:
    def refused(mistake: Mistake) -> None:
        with pytest.raises(CommandError) as caught:
            namespace.helm("install", "vm", str(CHART), "--values", str(mistake.path))
        assert mistake.message("helm") in str(caught.value)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(refused, mistakes()):
            pass
    kinds = "statefulsets,pods,services,configmaps,secrets,persistentvolumeclaims"
    left = namespace.kubectl("get", kinds, "-o", "name").split()
    assert left == ["configmap/kube-root-ca.crt"]
