"""The schema refuses what is misspelt or of another type, at the top and under vms."""

from typing import Any

import pytest
import yaml

from chart.tools.values import VALUES, read
from tests.chart.helm import KEY, NEWEST, OLDEST, Helm, HelmError

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"memory": "1Gi"}, "memory"),
    ({"vm": {"mem": "1Gi"}}, "mem"),
    ({"vm": {"memory": "4G"}}, "memory"),
    ({"vm": {"memory": 4096}}, "memory"),
    ({"vm": {"cpus": 0}}, "cpus"),
    ({"vm": {"cpus": "2"}}, "cpus"),
    ({"vm": {"diskSize": "ten"}}, "diskSize"),
    ({"replicas": -1}, "replicas"),
    ({"kvm": True}, "kvm"),
    ({"kvm": "yes"}, "kvm"),
    ({"securityLevel": "baseline"}, "securityLevel"),
    ({"onPoweroff": "halt"}, "onPoweroff"),
    ({"stopTimeout": 1}, "stopTimeout"),
    ({"qemuArgs": "-s"}, "qemuArgs"),
    ({"metadata": "hostname: a"}, "metadata"),
    ({"vnc": {"enabled": "no"}}, "enabled"),
    ({"service": {"ports": {"ssh": 0}}}, "ssh"),
    ({"service": {"ports": {"ssh": {"number": 22}}}}, "ssh"),
    ({"service": {"ports": {"SSH": 22}}}, "SSH"),
    ({"network": {"hostfwd": ["22:22"]}}, "hostfwd"),
    ({"network": {"podPorts": [80]}}, "podPorts"),
    ({"extraDisks": {"data": {"sizes": "1Gi"}}}, "sizes"),
    ({"resources": {"memory": "1Gi"}}, "memory"),
]

# Those of the release are refused there as unknown.
OF_THE_RELEASE = [{"className": "fast"}, {"shared": {"size": "1Gi"}}, {"labels": {}}, {"vms": {}}]

WRONG_OF_THE_RELEASE: list[tuple[dict[str, Any], str]] = [
    ({"launcher": {"image": {"digest": "latest"}}}, "digest"),
    ({"shared": {"accessMode": "RWX"}}, "accessMode"),
    ({"shared": {"size": "lots"}}, "size"),
    ({"labels": {"team": 1}}, "team"),
    ({"vms": ["web"]}, "vms"),
]


def told(helm: Helm, values: dict[str, Any]) -> str:
    with pytest.raises(HelmError) as caught:
        helm.template({"sshKey": KEY, **values})
    message = str(caught.value)
    assert "don't meet the specifications of the schema" in message
    return message


@pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
@pytest.mark.parametrize(
    ("values", "named"),
    [*WRONG, *WRONG_OF_THE_RELEASE],
    ids=[str(each) for each, _ in (*WRONG, *WRONG_OF_THE_RELEASE)],
)
def test_wrong_value(helm: Helm, values: dict[str, Any], named: str) -> None:
    assert named in told(helm, values)


@pytest.mark.parametrize(("values", "named"), WRONG, ids=[str(each) for each, _ in WRONG])
def test_wrong_value_of_one_vm(values: dict[str, Any], named: str) -> None:
    assert named in told(NEWEST, {"vms": {"pet": values}})


@pytest.mark.parametrize("values", OF_THE_RELEASE, ids=str)
def test_value_of_the_release_under_vms(values: dict[str, Any]) -> None:
    assert next(iter(values)) in told(NEWEST, {"vms": {"pet": values}})


@pytest.mark.parametrize("name", ["Web", "-web", "web.org", "web_1"])
def test_wrong_name_of_a_vm(name: str) -> None:
    told(NEWEST, {"vms": {name: {}}})


def test_every_value_can_be_set_for_a_vm_unless_it_is_the_release_s() -> None:
    own = yaml.safe_load(VALUES.read_text("utf-8"))
    for key in {value.path[0] for value in read() if value.is_release}:
        del own[key]
    rendered = NEWEST.template({"vms": {"pet": {**own, "sshKey": KEY}}})
    assert rendered.one("StatefulSet")["metadata"]["name"] == "web-pet"


def test_values_of_a_chart_around_this_one() -> None:
    assert NEWEST.template({"sshKey": KEY, "global": {"imageRegistry": "a"}}).objects


def test_editors_find_the_schema() -> None:
    first = VALUES.read_text("utf-8").partition("\n")[0]
    assert first == "# yaml-language-server: $schema=values.schema.json"


@pytest.mark.parametrize("helm", [NEWEST, OLDEST], ids=lambda helm: helm.name)
def test_lint(helm: Helm) -> None:
    said = helm.with_values(
        {"sshKey": KEY}, "lint", "--strict", "chart", "--kube-version", "1.28.0"
    )
    assert "0 chart(s) failed" in said
