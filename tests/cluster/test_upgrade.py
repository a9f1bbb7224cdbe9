"""`helm upgrade` and `helm rollback`: what restarts the VM and what does not, and what is kept."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import namespaces
from tests.cluster.release import Defaults, Release, Values, install, overlaid
from tests.cluster.target import CommandError, Target

MIB = 1 << 20
NOTE = "written before"
# The claim has room for what the disk grows to.
START: Values = {"pet": {"size": "1Gi"}}
LARGER: Values = {"vm": {"memory": "256Mi", "cpus": 2, "diskSize": "768Mi"}}


@pytest.fixture(scope="module")
def shared(cluster: Target, defaults: Defaults) -> Iterator[Release]:
    with namespaces.namespace(cluster) as namespace:
        release = install(defaults, "pet", START, namespace)
        release.wait_for_ssh()
        release.ssh(f"echo {NOTE} >/data/note; sync")
        yield release


@pytest.fixture
def pet(shared: Release) -> Release:
    """A VM that runs with START's values."""
    uid = shared.uid()
    if changed(shared, START):
        shared.wait_for_another(uid)
    return shared


def changed(release: Release, values: Values) -> bool:
    """Upgrade to these values. Returns whether the VM's pod will be another one."""
    before = revision(release)
    release.upgrade(values)
    release.namespace.wait(
        f"statefulset/{release.name}",
        f"jsonpath={{.status.observedGeneration}}={generation(release)}",
    )
    return revision(release) != before


def revision(release: Release) -> str:
    return release.namespace.get(f"statefulset/{release.name}", ".status.updateRevision")


def generation(release: Release) -> str:
    return release.namespace.get(f"statefulset/{release.name}", ".metadata.generation")


def boot_id(release: Release) -> str:
    return release.ssh("cat /proc/sys/kernel/random/boot_id")


def state(release: Release) -> tuple[str, ...]:
    """What changes when the VM is started again, or its StatefulSet or its password are changed."""
    return (
        release.uid(),
        boot_id(release),
        revision(release),
        generation(release),
        password(release),
    )


def password(release: Release) -> str:
    return release.namespace.get(f"secret/{release.name}-vnc", ".data.password")


def identity(release: Release) -> tuple[str, str, str]:
    """What a guest, and cloud-init in it, takes for the machine's own."""
    metadata = json.loads(release.ssh("cat /config/openstack/latest/meta_data.json"))
    mac = release.ssh("cat /sys/class/net/eth0/address")
    return metadata["uuid"], release.ssh("cat /sys/class/dmi/id/product_uuid"), mac


def was_shut_down(release: Release) -> bool:
    """Whether the guest had unmounted its disk before it was started again."""
    return "recovery complete" not in release.ssh("dmesg | grep EXT4-fs")


def disk_size(release: Release) -> int:
    return int(release.ssh("cat /sys/block/vda/size")) * 512


def memory(release: Release) -> int:
    return int(release.ssh("sed -n 's/^MemTotal: *//p' /proc/meminfo").split()[0]) * 1024


def resources(release: Release) -> Any:
    (container,) = release.get(f"pod/{release.pod()}")["spec"]["containers"]
    return container["resources"]


def test_what_is_nothing_to_the_vm_leaves_it_alone(pet: Release) -> None:
    before = state(pet)
    assert "has been upgraded" in pet.upgrade(START)
    assert state(pet) == before
    around: Values = {
        "service": {"ports": {"ssh": 22}},
        "podDisruptionBudget": {"enabled": True},
        "networkPolicy": {"enabled": True},
        "testPort": 0,
    }
    pet.upgrade(overlaid(START, around))
    pet.upgrade(START)
    assert state(pet) == before


def test_mistakes_leave_it_running(pet: Release) -> None:
    before = state(pet)
    history = pet.namespace.helm("history", pet.name)
    wrong: Values = {
        "vm": {"memory": "32Mi", "diskSize": "256Mi"},
        "shared": {"accessMode": "ReadWriteMany", "size": "512Mi", "className": "other"},
        "pet": {"className": "other", "size": "1Gi"},
        "vnc": {"enabled": False, "open": True},
    }
    with pytest.raises(CommandError) as refusal:
        pet.upgrade(wrong)
    for words in (
        "vm.memory is 32Mi; accepted: 64Mi or more",
        "vm.diskSize is 256Mi, less than the 512Mi of the disk that is there (claim pet-pet-0)",
        "vnc.enabled is false, so vnc.open and vnc.existingSecret have no meaning",
        "shared.accessMode is ReadWriteMany, but the claim that is there has ReadWriteOnce",
        "the class of the shared claim is other, but the claim that is there has ",
        "shared.size is 512Mi, less than the 1Gi of the claim that is there",
        "Kubernetes does not let the claims of a StatefulSet change (pet: ",
        'to 1024Mi ReadWriteOnce of class "other")',
        f"delete statefulset {pet.name} --cascade=orphan",
    ):
        assert words in str(refusal.value)
    # Growing a claim is no way to another class.
    assert "patch pvc" not in str(refusal.value)
    with pytest.raises(CommandError) as schema:
        pet.upgrade({"vm": {"memory": "much"}, "replicas": -1})
    assert "/vm/memory" in str(schema.value)
    assert "/replicas" in str(schema.value)
    assert state(pet) == before
    assert pet.namespace.helm("history", pet.name) == history


def test_the_volume_of_the_images_stays(pet: Release) -> None:
    # The VM's disk is an overlay on an image that is kept there.
    before = state(pet)
    for other, name in (({"enabled": False}, "none"), ({"existingClaim": "other"}, "other")):
        with pytest.raises(CommandError) as refusal:
            pet.upgrade({**START, "shared": other})
        assert f"shared would change from {pet.name}-shared to {name}, and" in str(refusal.value)
    assert state(pet) == before


def test_new_userdata_restarts_the_same_vm(pet: Release) -> None:
    uid, first = pet.uid(), identity(pet)
    userdata = f"#cloud-config\n# another\nssh_authorized_keys:\n  - {pet.defaults.key.public}\n"
    assert changed(pet, {**START, "userdata": userdata, "userdataIn": "Secret"})
    pet.wait_for_another(uid)
    assert was_shut_down(pet)
    assert "# another" not in pet.namespace.kubectl("get", "configmaps", "--output=yaml")
    assert pet.ssh("cat /config/openstack/latest/user_data") == userdata.strip()
    # cloud-init would take another uuid for another machine, and make its keys and users anew.
    assert identity(pet) == first
    assert pet.ssh("cat /data/note") == NOTE


def test_it_grows_and_goes_back_but_for_its_disk(pet: Release) -> None:
    uid, secret, first, small = pet.uid(), password(pet), identity(pet), memory(pet)
    before = resources(pet)
    assert changed(pet, overlaid(START, LARGER))
    pet.wait_for_another(uid)
    assert was_shut_down(pet)
    assert pet.ssh("nproc") == "2"
    assert memory(pet) - small > 60 * MIB
    assert disk_size(pet) == 768 * MIB
    # Another CPU, 64 MiB for the guest, and what these need in QEMU.
    more = resources(pet)
    assert more["requests"]["cpu"] == "200m"
    gained = mebibytes(more["limits"]["memory"]) - mebibytes(before["limits"]["memory"])
    assert 64 < gained < 80
    assert more["requests"]["memory"] == more["limits"]["memory"]

    uid = pet.uid()
    last = json.loads(pet.namespace.helm("history", pet.name, "--output=json"))[-1]["revision"]
    pet.namespace.helm("rollback", pet.name, str(last - 1))
    pet.wait_for_another(uid)
    assert was_shut_down(pet)
    assert (pet.ssh("nproc"), memory(pet), resources(pet)) == ("1", small, before)
    # A disk only ever grows.
    assert disk_size(pet) == 768 * MIB
    assert "the disk keeps its 805306368 bytes" in pet.logs()
    assert (password(pet), identity(pet)) == (secret, first)
    assert pet.ssh("cat /data/note") == NOTE


def mebibytes(quantity: str) -> int:
    found = re.fullmatch(r"(\d+)Mi", quantity)
    assert found, quantity
    return int(found[1])
