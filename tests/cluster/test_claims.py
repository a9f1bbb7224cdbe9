"""Where a VM's disk is kept: claims that grow, of another class, one's own, or just one."""

import json
import re
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from tests.chart.helm import KEY
from tests.cluster.conftest import Installer
from tests.cluster.namespaces import Namespace
from tests.cluster.release import CHART, Values
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


def make_claim(namespace: Namespace, name: str, release: str = "", app: str = "berth") -> None:
    """One that no pod uses; of no release unless said."""
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/instance": release}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": labels if release else {}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            # That of no volume.
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    namespace.apply(json.dumps(claim))


def install_nothing(namespace: Namespace, release: str, values: Values | None = None) -> str:
    """`helm install` of a release as far as Helm asks the cluster; it makes nothing there."""
    given = json.dumps({"sshKey": KEY, **(values or {})})
    options = ("--dry-run=server", "--values=-")
    return namespace.helm("install", release, str(CHART), *options, stdin=given)


def told(namespace: Namespace, release: str, values: Values | None = None) -> list[str]:
    """Lines of the refusal, but for its first two, which are always the same."""
    with pytest.raises(CommandError) as refusal:
        install_nothing(namespace, release, values)
    text = str(refusal.value).partition("The values do not fit together:\n")[2]
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("command", ["delete", "label"])
def test_a_disk_that_an_uninstalled_release_left_is_not_taken(
    namespace: Namespace, command: str
) -> None:
    # As `web` with a VM `db` leaves it.
    make_claim(namespace, "pet-web-db-0", "web")
    kubectl = f"kubectl -n {namespace.name}"
    lines = told(namespace, "web-db")
    assert lines == [
        "- web-db would take over claims of release web (pet-web-db-0), with all that is on them; "
        "choose another release name, fullnameOverride or name under vms. If web has no more use "
        "for them, delete them, or hand them over as they are:",
        f"{kubectl} delete pvc pet-web-db-0",
        f"{kubectl} label --overwrite pvc pet-web-db-0 app.kubernetes.io/instance=web-db",
    ]
    # For that release it is what it always was; others have other names.
    install_nothing(namespace, "web", {"vms": {"db": {}}})
    install_nothing(namespace, "web-db", {"fullnameOverride": "data"})
    # Either one, as printed, in a shell.
    printed = next(line for line in lines if line.startswith(f"{kubectl} {command}"))
    subprocess.run(["bash", "-ec", printed], env=namespace.target.environment, check=True)
    install_nothing(namespace, "web-db")


def test_two_releases_do_not_share_a_further_disk(namespace: Namespace) -> None:
    # As `a` with extraDisks.x-b makes them for two replicas.
    make_claim(namespace, "disk-x-b-a-0", "a")
    make_claim(namespace, "disk-x-b-a-1", "a")
    x = {"extraDisks": {"x": {"size": "1Gi"}}}
    [line, *_] = told(namespace, "b-a", {**x, "replicas": 2})
    assert line.startswith("- b-a would take over claims of release a (disk-x-b-a-0, disk-x-b-a-1)")
    # One of several VMs.
    [line, *_] = told(namespace, "b", {"vms": {"a": x, "b": x}})
    assert line.startswith("- b-a would take over claims of release a (disk-x-b-a-0), with all")
    install_nothing(namespace, "b-a", {**x, "replicas": 0})
    install_nothing(namespace, "b-a", {"extraDisks": {"y": {"size": "1Gi"}}})
    install_nothing(namespace, "a", {"extraDisks": {"x-b": {"size": "1Gi"}}, "replicas": 2})


def test_a_disk_that_was_made_beforehand_is_taken(namespace: Namespace) -> None:
    make_claim(namespace, "pet-web-0")
    make_claim(namespace, "pet-web-1", "database", app="postgresql")
    make_claim(namespace, "pet-web-2", "web")
    install_nothing(namespace, "web", {"replicas": 3})
