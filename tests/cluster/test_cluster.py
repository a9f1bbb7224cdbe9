"""What the cluster itself promises to whoever installs something on it."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster import namespaces, programs, web_pods
from tests.cluster.kubernetes.cluster import Cluster
from tests.cluster.kubernetes.errors import wait_for
from tests.cluster.kubernetes.tools_image import TOOLS
from tests.cluster.namespaces import Namespace
from tests.cluster.programs.pins import PROGRAMS
from tests.cluster.target import CommandError, Target
from tests.cluster.web_pods import CLAIM, NODES, Pods, pod, pod_name


@pytest.fixture(scope="module")
def own(cluster: Target) -> Cluster:
    if cluster.own is None:
        pytest.skip("KUBECONFIG names a cluster that is not ours to test")
    return cluster.own


@pytest.fixture(scope="module")
def pods(own: Cluster, cluster: Target) -> Iterator[Pods]:
    with web_pods.pods(own, cluster) as made:
        yield made


def test_versions(own: Cluster, cluster: Target) -> None:
    version = PROGRAMS["kubelet"].version
    assert re.fullmatch(r"v1\.\d+\.\d+", version)
    said = json.loads(cluster.kubectl("version", "-o", "json"))
    assert said["clientVersion"]["gitVersion"] == version
    assert said["serverVersion"]["gitVersion"] == version
    # What charts compare.
    minor = version.split(".")[1]
    assert (said["serverVersion"]["major"], said["serverVersion"]["minor"]) == ("1", minor)
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    infos = {each["metadata"]["name"]: each["status"]["nodeInfo"] for each in nodes}
    assert set(infos) == set(NODES)
    runtime = f"containerd://{PROGRAMS['containerd'].version.removeprefix('v')}"
    for info in infos.values():
        assert info["kubeletVersion"] == version
        assert info["containerRuntimeVersion"].replace("//v", "//") == runtime


@pytest.mark.parametrize("name", ["helm", "helm3"])
def test_helm_knows_its_version(name: str) -> None:
    said = subprocess.run(
        [programs.find(name), "version", "--template", "{{.Version}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == PROGRAMS[name].version


def test_nodes_are_ready(cluster: Target, own: Cluster) -> None:
    cluster.kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=30s")


@pytest.mark.parametrize("node", NODES)
def test_pod_is_reached_from_this_machine(pods: Pods, node: str) -> None:
    url = f"http://{pods.address(node)}:8080/name"
    done = subprocess.run(["curl", "-sSm5", url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == pod_name(node)


@pytest.mark.parametrize("node", NODES)
def test_pods_reach_each_other(pods: Pods, node: str) -> None:
    for other in NODES:
        names = [pods.address(other), f"{pod_name(other)}.web"]
        names.append(f"{pod_name(other)}.web.{pods.namespace.name}.svc.cluster.local")
        for name in names:
            said = pods.run(node, "curl", "-sSm5", f"http://{name}:8080/name")
            assert said.strip() == pod_name(other)


@pytest.mark.parametrize("node", NODES)
def test_pods_reach_services(pods: Pods, node: str) -> None:
    ask = "for i in $(seq 20); do curl -sSm5 http://balanced/name; done"
    seen = set(pods.run(node, "sh", "-c", ask).split())
    assert seen == {pod_name(each) for each in NODES}


@pytest.mark.parametrize("node", NODES)
def test_pods_reach_the_api_server(pods: Pods, node: str) -> None:
    said = pods.run(node, "sh", "-c", "curl -skm5 https://kubernetes.default/version")
    assert json.loads(said)["gitVersion"] == PROGRAMS["kubelet"].version


@pytest.mark.parametrize("node", NODES)
def test_pods_are_served_files(pods: Pods, node: str) -> None:
    url = pods.cluster.write("test/greeting", b"hello")
    assert pods.run(node, "curl", "-sSm5", url) == "hello"


def test_shapes_of_pod_networks(pods: Pods) -> None:
    def address(node: str) -> str:
        found = re.search(r"inet (\S+)", pods.run(node, "ip", "-4", "address", "show", "eth0"))
        assert found
        return found[1]

    plain, calico = (pods.run(node, "ip", "route") for node in NODES)
    assert address("node0") == f"{pods.address('node0')}/24"
    assert re.search(r"default via 10\.244\.\d+\.1 dev eth0", plain)
    assert address("node1") == f"{pods.address('node1')}/32"
    assert sorted(line.strip() for line in calico.splitlines()) == [
        "169.254.1.1 dev eth0 scope link",
        "default via 169.254.1.1 dev eth0",
    ]
    neighbours = pods.run("node1", "ip", "neigh", "show", "169.254.1.1")
    assert "ee:ee:ee:ee:ee:ee" in neighbours


def test_claims_are_bound(pods: Pods) -> None:
    listed = json.loads(pods.namespace.kubectl("get", "pvc", "-o", "json"))["items"]
    assert {each["status"]["phase"] for each in listed} == {"Bound"}


def test_shared_claim_is_shared(pods: Pods) -> None:
    for node in NODES:
        pods.run(node, "sh", "-c", f"echo {node} >/shared/{node}")
    for node in NODES:
        assert pods.run(node, "sh", "-c", "cat /shared/*").split() == list(NODES)


def test_volume_belongs_to_the_pods_group(pods: Pods) -> None:
    assert pods.run("node0", "id", "-u").strip() == "107"
    assert pods.run("node0", "stat", "-c", "%g %a", "/own").strip() == "107 2775"
    pods.run("node0", "touch", "/own/file")


def test_volume_follows_its_pod_and_goes_with_its_claim(pods: Pods, namespace: Namespace) -> None:
    name = "wanderer"
    namespace.apply(CLAIM.format(name="shared", storage="standard", mode="ReadWriteMany"))
    namespace.apply(CLAIM.format(name=f"own-{name}", storage="late", mode="ReadWriteOnce"))
    for node in NODES:
        namespace.apply(pod(node, name))
        namespace.wait(f"pod/{name}", "condition=Ready")
        namespace.kubectl("exec", name, "--", "sh", "-c", f"echo {node} >>/own/seen")
        if node != NODES[-1]:
            namespace.kubectl("delete", "pod", name)
    seen = namespace.kubectl("exec", name, "--", "cat", "/own/seen")
    assert seen.split() == list(NODES)

    volume = namespace.get(f"pvc/own-{name}", ".spec.volumeName")
    folder = pods.cluster.place.volumes / volume
    assert (folder / "seen").exists()
    namespace.kubectl("delete", "pod", name)
    namespace.kubectl("delete", "pvc", f"own-{name}")
    wait_for("the volume's files are gone", lambda: not folder.exists(), 30)
    listed = namespace.target.kubectl
    wait_for("the volume is gone", lambda: volume not in listed("get", "pv", "-o", "name"), 30)


def test_restricted_namespace_refuses_a_privileged_pod(own: Cluster, cluster: Target) -> None:
    with namespaces.namespace(cluster, level="restricted") as made:
        with pytest.raises(CommandError, match='violates PodSecurity "restricted:latest"'):
            made.kubectl("run", "bad", f"--image={TOOLS}", "--privileged")
        assert made.kubectl("get", "pods", "-o", "name") == ""


def test_unknown_image_is_reported(own: Cluster, namespace: Namespace) -> None:
    # No registry answers; what counts is that a test with a wrong image fails with its reason.
    namespace.kubectl("run", "none", "--image=localhost/none:1", "--image-pull-policy=Never")
    reason = ".status.containerStatuses[0].state.waiting.reason"
    wait_for("the reason", lambda: namespace.get("pod/none", reason) == "ErrImageNeverPull", 30)
    assert "ErrImageNeverPull" in namespace.describe()


def test_command_that_fails_says_why(namespace: Namespace) -> None:
    with pytest.raises(CommandError, match=r"kubectl -n \S+ get pod/none: .*\n.*not found"):
        namespace.kubectl("get", "pod/none")


def test_secrets_are_nobody_elses(own: Cluster) -> None:
    place = own.place
    for path in (place.kubeconfig, place.pki, place.folder / "etcd"):
        assert path.stat().st_mode & 0o077 == 0
