"""The chart and the launcher reckon alike: what a VM needs, and what a claim has to hold."""

import math
from typing import Any

import pytest

from launcher.settings import parse
from launcher.settings.load import overhead
from launcher.settings.table import MIB
from tests.chart.helm import KEY, NEWEST, Rendered

MEMORIES = ("64Mi", "100Mi", "511Mi", "512Mi", "513Mi", "1Gi", "3Gi", "7000Mi", "64Gi", "2Ti")
CPUS = (1, 2, 16, 255)


def name_of(memory: str, cpus: int) -> str:
    return f"m{memory.lower()}-c{cpus}"


@pytest.mark.parametrize(("kvm", "is_emulated"), [("off", True), ("squat.ai/kvm", False)], ids=str)
def test_memory_is_what_the_launcher_reckons(kvm: str, is_emulated: bool) -> None:
    vms = {
        name_of(memory, cpus): {"vm": {"memory": memory, "cpus": cpus}}
        for memory in MEMORIES
        for cpus in CPUS
    }
    rendered = NEWEST.template({"sshKey": KEY, "kvm": kvm, "vms": vms})
    made = {each["metadata"]["name"]: each for each in rendered.of_kind("StatefulSet")}
    for memory in MEMORIES:
        for cpus in CPUS:
            container = made[f"web-{name_of(memory, cpus)}"]["spec"]["template"]["spec"]
            resources = container["containers"][0]["resources"]
            guest = parse.size(memory)
            needed = math.ceil((guest + overhead(guest, cpus, is_emulated)) / MIB)
            assert resources["limits"]["memory"] == f"{needed}Mi", (memory, cpus)
            assert resources["requests"]["memory"] == f"{needed}Mi"


def resources(values: dict[str, Any]) -> Any:
    return NEWEST.template({"sshKey": KEY, **values}).container()["resources"]


def test_no_cpu_limit_and_a_modest_request() -> None:
    made = resources({"vm": {"cpus": 4}})
    assert made["requests"]["cpu"] == "400m"
    assert made["limits"].keys() == {"memory"}


def test_kvm_resource_is_a_limit() -> None:
    assert resources({"kvm": "squat.ai/kvm"})["limits"]["squat.ai/kvm"] == 1


def test_resources_of_ones_own_lie_over_the_computed() -> None:
    made = resources({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": 0, "memory": "4Gi"}}})
    assert made["requests"] == {"cpu": 2, "memory": "1298Mi", "ephemeral-storage": "64Mi"}
    # A zero is a value, too.
    assert made["limits"] == {"cpu": 0, "memory": "4Gi"}


def pet_size(rendered: Rendered) -> str:
    spec = rendered.one("StatefulSet")["spec"]["volumeClaimTemplates"][0]["spec"]
    return str(spec["resources"]["requests"]["storage"])


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"vm": {"diskSize": "10Gi"}}, "11Gi"),
        ({"vm": {"diskSize": "1Gi"}}, "2Gi"),
        ({"vm": {"diskSize": "100Mi"}}, "1Gi"),
        ({"vm": {"diskSize": "2Ti"}}, "2253Gi"),
        ({"vm": {"diskSize": "10Gi"}, "shared": {"enabled": False, "size": "4Gi"}}, "15Gi"),
        ({"vm": {"diskSize": "10Gi"}, "shared": {"enabled": False, "size": "1G"}}, "12Gi"),
        ({"vm": {"diskSize": ""}, "pet": {"size": "7G"}}, "7G"),
    ],
    ids=str,
)
def test_size_of_the_pet_s_claim(values: dict[str, Any], size: str) -> None:
    assert pet_size(NEWEST.template({"sshKey": KEY, **values})) == size
