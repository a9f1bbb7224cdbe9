"""`kvm: auto` asks for what the nodes offer; where it may not look, it says what to do.

Nodes are told to offer something, as a device plugin would have it; no VM is started on them.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import programs
from tests.cluster.namespaces import Namespace
from tests.cluster.release import CHART, Defaults, Release, Values, overlaid, wait_until
from tests.cluster.target import CommandError, Target

KUBEVIRT, OTHER = "devices.kubevirt.io/kvm", "example.org/kvm"


@pytest.fixture
def node(cluster: Target) -> str:
    if cluster.own is None:
        pytest.skip("on somebody else's cluster nodes are left as they are")
    return cluster.own.nodes[1].name


@contextmanager
def offered(cluster: Target, node: str, resource: str, count: int) -> Iterator[None]:
    """A node that offers `count` of a resource."""
    escaped = resource.replace("/", "~1")

    def patch(operation: str) -> None:
        paths = (f"/status/{field}/{escaped}" for field in ("capacity", "allocatable"))
        value = {"value": str(count)} if operation == "add" else {}
        steps = [{"op": operation, "path": path, **value} for path in paths]
        words = ("patch", "node", node, "--subresource=status", "--type=json", "-p")
        cluster.kubectl(*words, json.dumps(steps))

    patch("add")
    try:
        yield
    finally:
        patch("remove")


@pytest.fixture
def release(namespace: Namespace, defaults: Defaults) -> Release:
    """One that is not there."""
    return Release(namespace, "vm", defaults)


class Would:
    """What Helm would install, after asking the cluster all that it asks."""

    def __init__(self, release: Release, values: Values) -> None:
        said = release.helm("install", overlaid(release.defaults.small, values), "--dry-run=server")
        manifest, _, self.notes = said.partition("\nNOTES:\n")
        documents = yaml.safe_load_all(manifest.partition("\nMANIFEST:\n")[2])
        (pod,) = (
            each["spec"]["template"]["spec"]
            for each in documents
            if each and each["kind"] == "StatefulSet"
        )
        (self.container,) = pod["containers"]

    @property
    def devices(self) -> dict[str, Any]:
        limits = self.container["resources"]["limits"]
        return {name: count for name, count in limits.items() if "/" in name}

    @property
    def accel(self) -> str:
        found = [each["value"] for each in self.container["env"] if each["name"] == "ACCEL"]
        return found[0] if found else "auto"


LOUD = "NO HARDWARE VIRTUALISATION"


def test_auto_asks_for_what_a_node_offers(cluster: Target, node: str, release: Release) -> None:
    with offered(cluster, node, OTHER, 4):
        would = Would(release, {})
        assert (would.devices, would.accel) == ({OTHER: 1}, "kvm")
        assert LOUD not in would.notes
        # KubeVirt's is preferred.
        with offered(cluster, node, KUBEVIRT, 110):
            assert Would(release, {}).devices == {KUBEVIRT: 1}
        # The processor cannot, or the plugin ended.
        with offered(cluster, node, KUBEVIRT, 0):
            assert Would(release, {}).devices == {OTHER: 1}


def test_what_comes_of_it_is_not_set_twice(cluster: Target, node: str, release: Release) -> None:
    with offered(cluster, node, OTHER, 4), pytest.raises(CommandError) as refusal:
        Would(release, {"extraEnv": [{"name": "ACCEL", "value": "tcg"}]})
    assert "extraEnv sets ACCEL, which the chart sets from a value of its own" in str(refusal.value)


def test_auto_emulates_where_there_is_nothing_and_says_so(release: Release) -> None:
    if "/kvm" in release.namespace.target.kubectl("get", "nodes", "-o", "json"):
        pytest.skip("the nodes offer hardware virtualisation")
    would = Would(release, {})
    # Whoever hands /dev/kvm to every container gets what it is for.
    assert (would.devices, would.accel) == ({}, "auto")
    assert f"{LOUD} for vm" in would.notes
    assert "upgrade vm CHART --reuse-values --set kvm=privileged" in would.notes


def test_what_is_named_is_asked_for(release: Release) -> None:
    would = Would(release, {"kvm": "squat.ai/kvm"})
    assert (would.devices, would.accel) == ({"squat.ai/kvm": 1}, "kvm")
    assert LOUD not in would.notes


def test_what_no_node_offers_is_told_by_the_scheduler(release: Release) -> None:
    values: Values = {"kvm": OTHER}
    if release.namespace.target.own:
        # The scheduler does not come back soon to a pod whose claims were not there at first.
        values = {**values, "className": "late"}
    release.upgrade(values)
    release.namespace.wait(f"pod/{release.pod()}", "create")
    wait_until(lambda: f"Insufficient {OTHER}" in told(release), 60, lambda: told(release))


def told(release: Release) -> str:
    return release.namespace.kubectl("describe", f"pod/{release.pod()}")


@pytest.mark.parametrize("word", ["off", False])
def test_off_never_asks(cluster: Target, node: str, release: Release, word: str | bool) -> None:
    """YAML takes a bare `off` for a boolean."""
    with offered(cluster, node, KUBEVIRT, 110):
        would = Would(release, {"kvm": word})
    assert (would.devices, would.accel) == ({}, "tcg")
    assert "kvm is off" in would.notes


def test_privileged_asks_no_plugin(release: Release) -> None:
    would = Would(release, {"kvm": "privileged"})
    assert (would.devices, would.accel) == ({}, "kvm")
    assert would.container["securityContext"]["privileged"] is True


@pytest.fixture
def tenant(namespace: Namespace, tmp_path: Path) -> Path:
    """The kubeconfig of somebody who administers the namespace and nothing else."""
    namespace.kubectl("create", "serviceaccount", "tenant")
    account = f"--serviceaccount={namespace.name}:tenant"
    namespace.kubectl("create", "rolebinding", "tenant", "--clusterrole=admin", account)
    config = json.loads(
        namespace.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    )
    config["users"][0]["user"] = {"token": namespace.kubectl("create", "token", "tenant").strip()}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config), "utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_who_may_not_list_nodes_is_told_what_to_set(
    tenant: Path, release: Release, tmp_path: Path, program: str
) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps(release.defaults.small), "utf-8")

    def install(*words: str) -> "subprocess.CompletedProcess[str]":
        whose = ("-n", release.namespace.name, f"--kubeconfig={tenant}")
        what = ("install", "vm", CHART, f"--values={values}", "--dry-run=server")
        return subprocess.run(
            [programs.find(program), *whose, *what, *words],
            env=release.namespace.target.environment,
            capture_output=True,
            text=True,
        )

    refused = install()
    assert refused.returncode != 0
    assert (
        "kvm, which lists nodes. Without the right to do that set kvm to a resource's name, "
        "privileged or off"
    ) in refused.stderr
    assert 'cannot list resource "nodes"' in refused.stderr
    for word in ("off", KUBEVIRT, "privileged"):
        allowed = install("--set", f"kvm={word}")
        assert allowed.returncode == 0, allowed.stderr
