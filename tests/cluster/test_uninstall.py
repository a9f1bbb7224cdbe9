"""What goes and what stays, when a VM or a release goes; and what is there when it comes back.

One story, of which each fixture is a chapter.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.cluster import namespaces
from tests.cluster.namespaces import Namespace
from tests.cluster.release import BOOT_PATIENCE, Defaults, Release, install
from tests.cluster.target import Target

VMS = ("a", "b", "c")
PODS = {name: f"farm-{name}-0" for name in VMS}


class Both(NamedTuple):
    """Two releases in one namespace, which had `before` in it.

    :param kinds: of all that can be listed in a namespace, but for what only tells of the past.
    """

    farm: Release
    other: Release
    kinds: str
    before: set[str]

    @property
    def namespace(self) -> Namespace:
        return self.farm.namespace

    def objects(self, name: str) -> set[str]:
        """All in the namespace that has a name with this word in it, such as `pod/farm-a-0`."""
        found = self.namespace.kubectl("get", self.kinds, "-o", "name").split()
        return {
            each
            for each in set(found) - self.before
            if re.search(rf"\b{name}\b", each.partition("/")[2])
        }

    def state_of_the_other(self) -> tuple[str, str, set[str]]:
        boot = self.other.ssh("cat /proc/sys/kernel/random/boot_id")
        return self.other.uid(), boot, self.objects("other")

    def identity(self, name: str) -> tuple[str, str, str]:
        """What tells a VM from all others. Its host key is looked at by ssh."""
        metadata = self.farm.ssh("cat /config/openstack/latest/meta_data.json", PODS[name])
        mac = self.farm.ssh("cat /sys/class/net/eth0/address", PODS[name])
        return json.loads(metadata)["uuid"], mac, self.farm.ssh("hostname", PODS[name])


def vms(*names: str) -> dict[str, object]:
    return {"vms": {name: {} for name in names}}


def claims(*names: str) -> set[str]:
    return {f"persistentvolumeclaim/{name}" for name in names}


@pytest.fixture(scope="module")
def both(cluster: Target, defaults: Defaults) -> Iterator[Both]:
    with namespaces.namespace(cluster) as namespace:
        words = ("api-resources", "--namespaced", "--verbs=list", "-o", "name")
        # Endpoints are the same as their slices, and deprecated.
        passing = {"events", "events.events.k8s.io", "endpoints"}
        kinds = ",".join(sorted(set(namespace.kubectl(*words).split()) - passing))
        before = set(namespace.kubectl("get", kinds, "-o", "name").split())
        farm = install(defaults, "farm", vms(*VMS), namespace)
        other = install(defaults, "other", {}, namespace)
        for pod in PODS.values():
            farm.wait_for_ssh(pod)
        other.wait_for_ssh()
        yield Both(farm, other, kinds, before)


class Fewer(NamedTuple):
    """`boots` are the uids of the pods that stay, before and after."""

    boots: list[dict[str, str]]
    other: list[tuple[str, str, set[str]]]
    left: set[str]


@pytest.fixture(scope="module")
def fewer(both: Both) -> Fewer:
    """The third VM is taken out of the values."""

    def look() -> dict[str, str]:
        return {name: both.farm.uid(PODS[name]) for name in ("a", "b")}

    boots, other = [look()], [both.state_of_the_other()]
    both.farm.upgrade(vms("a", "b"))
    both.namespace.kubectl(
        "wait", f"pod/{PODS['c']}", "--for=delete", "--timeout=200s", timeout=210
    )
    boots.append(look())
    other.append(both.state_of_the_other())
    return Fewer(boots, other, both.objects("farm-c"))


class Uninstalled(NamedTuple):
    """`identities` are those of the VMs before; `said` is Helm's."""

    identities: dict[str, tuple[str, str, str]]
    other: list[tuple[str, str, set[str]]]
    said: str
    left: set[str]


@pytest.fixture(scope="module")
def uninstalled(both: Both, fewer: Fewer) -> Uninstalled:
    """The release is uninstalled."""
    for name in ("a", "b"):
        both.farm.ssh(f"echo {name} >/data/note; sync", PODS[name])
    identities = {name: both.identity(name) for name in ("a", "b")}
    other = [both.state_of_the_other()]
    said = both.namespace.helm("uninstall", "farm", "--wait", timeout=BOOT_PATIENCE)
    both.namespace.kubectl(
        *("wait", "pods", "-l", "app.kubernetes.io/instance=farm", "--for=delete"),
        "--timeout=200s",
        timeout=210,
    )
    other.append(both.state_of_the_other())
    return Uninstalled(identities, other, said, both.objects("farm"))


@pytest.fixture(scope="module")
def again(both: Both, uninstalled: Uninstalled) -> str:
    """It is installed again, with all three. What Helm says."""
    said = both.farm.upgrade(vms(*VMS))
    for pod in PODS.values():
        both.farm.wait_for_ssh(pod)
    return said


def test_vms_that_share_a_claim_are_on_one_node(both: Both) -> None:
    """ReadWriteOnce, the default, lets other nodes have nothing of it. This cluster would: here a
    VM elsewhere is to be seen by nothing else."""
    assert len({pod["spec"]["nodeName"] for pod in both.farm.pods()}) == 1


def test_one_vm_less_leaves_all_others_alone(fewer: Fewer) -> None:
    assert fewer.boots[0] == fewer.boots[1]
    assert fewer.other[0] == fewer.other[1]


def test_the_disk_of_a_vm_that_is_taken_out_stays(fewer: Fewer) -> None:
    assert fewer.left == claims("pet-farm-c-0")


def test_a_release_leaves_its_claims_and_nothing_else(uninstalled: Uninstalled) -> None:
    assert uninstalled.left == claims("farm-shared", *(f"pet-{pod}" for pod in PODS.values()))
    assert "[PersistentVolumeClaim] farm-shared" in uninstalled.said


def test_another_release_does_not_notice(uninstalled: Uninstalled) -> None:
    assert uninstalled.other[0] == uninstalled.other[1]


@pytest.mark.usefixtures("again")
def test_installed_again_they_are_the_same_vms(both: Both, uninstalled: Uninstalled) -> None:
    assert {name: both.identity(name) for name in ("a", "b")} == uninstalled.identities
    assert [both.farm.ssh("cat /data/note", PODS[name]) for name in ("a", "b")] == ["a", "b"]
    # The image was there already, too.
    assert "downloaded" not in both.farm.logs(PODS["a"])


def test_the_line_that_is_printed_deletes_what_stays(both: Both, again: str) -> None:
    other = both.state_of_the_other()
    printed = re.search(r"To delete them: (.*)$", again, re.MULTILINE)
    assert printed, again
    assert f"helm -n {both.namespace.name} uninstall farm keeps the images and the VMs' disks" in (
        again
    )
    both.namespace.helm("uninstall", "farm", "--wait", timeout=BOOT_PATIENCE)
    environment = both.namespace.target.environment
    subprocess.run(["bash", "-ec", printed[1]], env=environment, check=True, timeout=BOOT_PATIENCE)
    assert both.objects("farm") == set()
    assert both.state_of_the_other() == other
