"""Three equal VMs on two nodes: what each has of its own, and what it keeps for ever."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster import namespaces
from tests.cluster.release import Defaults, Release, install
from tests.cluster.target import Target
from tests.pods.output import Output

PODS = ("vm-0", "vm-1", "vm-2")
# One VM more on a node than on the other, at most.
SPREAD = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app.kubernetes.io/instance": "vm"}},
}
VALUES = {
    "shared": {"accessMode": "ReadWriteMany"},
    "topologySpreadConstraints": [SPREAD],
}
# What the kernel says of a journal that it had to play back.
RECOVERED = "recovery complete"


@dataclass(frozen=True)
class Life:
    """What is seen of a VM in one pod; `recovered` tells whether its disk had not been unmounted.

    `launch_index`, `uuid` and `hostname` are the config drive's, `machine` is what firmware and
    hardware say.
    """

    uid: str
    node: str
    machine: tuple[str, str, str]
    hostname: str
    launch_index: int
    metadata_uuid: str
    note: str
    recovered: bool
    host_key: str


def look(release: Release, pod: str) -> Life:
    client = release.wait_for_ssh(pod)
    commands = (
        "cat /sys/class/dmi/id/product_uuid",
        "cat /sys/class/net/eth0/address",
        "hostname",
        "cat /data/note 2>/dev/null || echo none",
        f"dmesg | grep -c '{RECOVERED}'",
        "tr -d '\\n' </config/openstack/latest/meta_data.json",
    )
    told = client.run("; ".join(commands)).decode().splitlines()
    uuid, mac, name, note, recovered, text = told
    metadata = json.loads(text)
    keys = [line.split() for line in client.known_hosts.read_text().splitlines()]
    found = release.get(f"pod/{pod}")
    return Life(
        uid=found["metadata"]["uid"],
        node=found["spec"]["nodeName"],
        machine=(uuid, mac, name),
        hostname=metadata["hostname"],
        launch_index=metadata["launch_index"],
        metadata_uuid=metadata["uuid"],
        note=note,
        recovered=recovered != "0",
        host_key=next(" ".join(rest) for host, *rest in keys if host == pod),
    )


@dataclass(frozen=True)
class Story:
    """Three VMs; then one, whose pod is deleted; then two. `first` and `logs` are of the
    three, `second` of the two."""

    release: Release
    first: dict[str, Life]
    logs: dict[str, str]
    bases: list[str]
    claims_of_one: set[str]
    last_words: str
    second: dict[str, Life]


@pytest.fixture(scope="module")
def story(cluster: Target, defaults: Defaults) -> Iterator[Story]:
    with namespaces.namespace(cluster) as namespace:
        # All at once on an empty volume: one of them fetches the image for all.
        release = install(defaults, "vm", {**VALUES, "replicas": len(PODS)}, namespace)
        first = {pod: look(release, pod) for pod in PODS}
        logs = {pod: release.logs(pod) for pod in PODS}
        bases = release.exec("sh", "-c", "ls /shared").split()
        for pod in PODS:
            release.ssh(f"echo of {pod} >/data/note; sync", pod)

        release.upgrade({**VALUES, "replicas": 1})
        for pod in PODS[1:]:
            namespace.kubectl("wait", f"pod/{pod}", "--for=delete", "--timeout=300s", timeout=310)
        claims = {each["metadata"]["name"] for each in release.get("pvc")["items"]}

        last_words = delete_listening(release, PODS[0])
        release.upgrade({**VALUES, "replicas": 2})
        second = {pod: look(release, pod) for pod in PODS[:2]}
        yield Story(release, first, logs, bases, claims, last_words, second)


def delete_listening(release: Release, pod: str) -> str:
    """Delete a pod. Returns what it said meanwhile."""
    target = release.namespace.target
    words = ("-n", release.namespace.name, "logs", "--follow", "--tail=0", pod)
    output = Output()
    follower = subprocess.Popen(
        target.argv("kubectl", *words), env=target.environment, stdout=output.fd, stderr=output.fd
    )
    os.close(output.fd)
    try:
        release.namespace.kubectl("delete", "pod", pod, "--wait", timeout=300)
        assert output.wait_for_end(60)
    finally:
        follower.kill()
        follower.wait()
    return output.text


def test_each_is_a_machine_of_its_own(story: Story) -> None:
    lives = story.first
    uuids, macs, names = zip(*(life.machine for life in lives.values()), strict=True)
    assert (len(set(uuids)), len(set(macs)), names) == (3, 3, PODS)
    assert len({life.host_key for life in lives.values()}) == 3


def test_each_is_told_who_it_is(story: Story) -> None:
    for index, (pod, life) in enumerate(story.first.items()):
        assert (life.launch_index, life.hostname) == (index, pod)
        assert life.metadata_uuid == life.machine[0]


def test_they_are_on_both_nodes(story: Story, cluster: Target) -> None:
    if cluster.own is None:
        pytest.skip("KUBECONFIG names a cluster that is not ours to test")
    assert {life.node for life in story.first.values()} == {"node0", "node1"}


def test_the_image_is_fetched_once(story: Story) -> None:
    assert sum(log.count("startvm: downloaded ") for log in story.logs.values()) == 1
    assert len([name for name in story.bases if re.match(r"sha256-.*\.qcow2$", name)]) == 1


def test_claims_stay_when_there_are_fewer(story: Story) -> None:
    assert story.claims_of_one == {"vm-shared", *(f"pet-{pod}" for pod in PODS)}


def test_each_has_its_disk_back(story: Story) -> None:
    assert {pod: life.note for pod, life in story.first.items()} == dict.fromkeys(PODS, "none")
    assert {pod: life.note for pod, life in story.second.items()} == {
        pod: f"of {pod}" for pod in PODS[:2]
    }


def test_in_another_pod_it_is_the_same_machine(story: Story) -> None:
    for pod, life in story.second.items():
        before = story.first[pod]
        assert life.uid != before.uid
        assert (life.machine, life.host_key) == (before.machine, before.host_key)
        assert (life.metadata_uuid, life.launch_index) == (
            before.metadata_uuid,
            before.launch_index,
        )


def test_it_had_shut_down_cleanly(story: Story) -> None:
    assert "stopping: the guest agent shuts the guest down" in story.last_words
    # The guest's own word, and that its disk was unmounted.
    assert "stopping for poweroff" in story.last_words
    assert "startvm: the guest has shut down" in story.last_words
    assert not any(life.recovered for life in story.second.values())
