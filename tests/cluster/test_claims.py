"""Where a VM's disk is kept: claims that grow, of another class, one's own, or just one."""

import json
import re
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Installer
from tests.cluster.namespaces import Namespace
from tests.cluster.release import Values
from tests.cluster.target import CommandError, Target
from tests.cluster.test_vnc import viewing

MIB = 1 << 20


@pytest.fixture
def storage_class(cluster: Target) -> Iterator[str]:
    """A second class, whose claims can grow."""
    name = f"berth-{secrets.token_hex(4)}"
    for each in json.loads(cluster.kubectl("get", "storageclass", "-o", "json"))["items"]:
        annotations = each["metadata"].get("annotations", {})
        if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
            found = {**each, "metadata": {"name": name}, "allowVolumeExpansion": True}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(found))
    yield name
    cluster.kubectl("delete", "storageclass", name)


def claims(namespace: Namespace) -> dict[str, dict[str, str]]:
    """Class and size of each claim."""
    found = json.loads(namespace.kubectl("get", "pvc", "-o", "json"))["items"]
    return {
        each["metadata"]["name"]: {
            "class": each["spec"]["storageClassName"],
            "size": each["spec"]["resources"]["requests"]["storage"],
        }
        for each in found
    }


def test_a_larger_disk_needs_a_larger_claim_and_the_way_is_told(
    installed: Installer, namespace: Namespace, storage_class: str
) -> None:
    small = {"pet": {"className": storage_class}, "vm": {"diskSize": "512Mi"}}
    large = {**small, "vm": {"diskSize": "1536Mi"}}
    vm = installed("vm", small)
    vm.wait_for_ssh()
    uid = vm.uid()
    assert claims(namespace)["pet-vm-0"] == {"class": storage_class, "size": "1Gi"}
    assert claims(namespace)["vm-shared"]["class"] != storage_class

    with pytest.raises(CommandError) as refusal:
        vm.upgrade(large)
    assert "(pet: 1024Mi ReadWriteOnce" in str(refusal.value)
    commands = re.findall(r"^ +(kubectl .*)$", str(refusal.value), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        # As printed, in a shell.
        subprocess.run(["bash", "-ec", command], env=namespace.target.environment, check=True)
    # The VM does not notice.
    assert vm.uid() == uid
    assert int(vm.ssh("cat /sys/block/vda/size")) * 512 == 512 * MIB

    vm.upgrade(large)
    vm.wait_for_another(uid)
    assert int(vm.ssh("cat /sys/block/vda/size")) * 512 == 1536 * MIB
    assert claims(namespace)["pet-vm-0"] == {"class": storage_class, "size": "2Gi"}


OWN = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: images}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Secret
metadata: {name: screen}
stringData: {password: chosen}
"""


# Looked at from the pod. A guest that has just begun need not be given the time to shut down.
QUICK: Values = {"stopTimeout": 2}


def test_a_claim_and_a_secret_of_ones_own(installed: Installer, namespace: Namespace) -> None:
    namespace.apply(OWN)
    own = {"shared": {"existingClaim": "images"}, "vnc": {"existingSecret": "screen"}}
    vm = installed("vm", {**QUICK, **own})
    vm.wait_for_log("vm-0 is running")
    assert set(claims(namespace)) == {"images", "pet-vm-0"}
    assert "sha256-" in vm.exec("ls", "/shared")
    names = namespace.kubectl("get", "secret", "-o", "name").split()
    assert "secret/screen" in names
    assert "secret/vm-vnc" not in names
    with viewing(vm.address(), b"chosen") as viewer:
        assert viewer.screen.name == "QEMU (vm-0)"
    vm.uninstall()
    # They are not the release's to delete.
    namespace.kubectl("get", "pvc/images", "secret/screen")


def test_without_a_shared_volume_each_vm_has_all_on_its_own(
    installed: Installer, namespace: Namespace
) -> None:
    vm = installed("vm", {**QUICK, "shared": {"enabled": False, "size": "1Gi"}})
    vm.wait_for_log("vm-0 is running")
    assert {name: each["size"] for name, each in claims(namespace).items()} == {"pet-vm-0": "2Gi"}
    found = vm.exec("ls", "/image").split()
    assert "vm-0.qcow2" in found
    assert [name for name in found if name.startswith("sha256-") and name.endswith(".qcow2")]
