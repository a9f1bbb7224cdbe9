"""A node is drained: its VM goes to the other one, whose pod network is another, and back."""

import pytest

from tests.cluster.conftest import Installer
from tests.cluster.release import Release
from tests.cluster.target import Target

# Of no other release, as a drain has a label to choose pods of all namespaces by.
NAME = "moving"
# Seconds.
PATIENCE = 200


def node_of(vm: Release) -> str:
    return vm.namespace.get(f"pod/{vm.pod()}", ".spec.nodeName")


def drain(cluster: Target, node: str) -> None:
    cluster.kubectl(
        *("drain", node, "--delete-emptydir-data", "--ignore-daemonsets"),
        *(f"--pod-selector=app.kubernetes.io/instance={NAME}", f"--timeout={PATIENCE}s"),
        timeout=PATIENCE + 10,
    )


def test_a_vm_moves_with_its_data_and_comes_back(cluster: Target, installed: Installer) -> None:
    if len(cluster.kubectl("get", "nodes", "-o", "name").split()) < 2:
        pytest.skip("the cluster has one node")
    vm = installed(NAME, {"podDisruptionBudget": {"enabled": True}})
    vm.wait_for_ssh()
    nodes = [node_of(vm)]
    for move in range(2):
        vm.ssh(f"echo {move} >>/data/moves; sync")
        uid, node = vm.uid(), nodes[-1]
        try:
            drain(cluster, node)
            vm.wait_for_another(uid)
        finally:
            cluster.kubectl("uncordon", node)
        nodes.append(node_of(vm))
        # The guest was given the time to shut down.
        assert "recovery complete" not in vm.ssh("dmesg | grep EXT4-fs")
        if len({*nodes}) == 1:
            raise AssertionError(f"it is on {node} again")
    assert nodes[1] != nodes[0]
    assert vm.ssh("cat /data/moves").split() == ["0", "1"]
