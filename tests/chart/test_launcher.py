"""What the chart tells the launcher is what the launcher understands."""

import json

import pytest
import yaml

from launcher.host.container import Container
from launcher.seed import metadata, yaml_text
from launcher.settings.load import Surroundings, load
from launcher.settings.table import rows
from tests.chart.helm import KEY, NEWEST, defaults
from tests.chart.scenarios import SCENARIOS

# What scenarios set as extraEnv, and what is read by libraries.
FOREIGN = {"HTTPS_PROXY", "REQUESTS_CA_BUNDLE"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_environment_is_taken(name: str) -> None:
    for each in NEWEST.template(SCENARIOS[name]).of_kind("StatefulSet"):
        container = each["spec"]["template"]["spec"]["containers"][0]
        environment = {entry["name"]: entry.get("value", "pod") for entry in container["env"]}
        assert environment.keys() - FOREIGN <= {row.name for row in rows().values()}
        pod = f"{each['metadata']['name']}-0"
        settings = load(environment, Surroundings(Container(hostname=pod)))
        assert settings.vm_name == pod


@pytest.mark.parametrize("name", SCENARIOS)
def test_files_it_names_are_mounted(name: str) -> None:
    for each in NEWEST.template(SCENARIOS[name]).of_kind("StatefulSet"):
        pod = each["spec"]["template"]["spec"]
        container = pod["containers"][0]
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        names = ("_FILE", "_BUNDLE")
        files = [entry["value"] for entry in container["env"] if entry["name"].endswith(names)]
        for file in files:
            assert file.rpartition("/")[0] in mounts
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in each["spec"]["volumeClaimTemplates"]}
        assert set(mounts.values()) <= volumes
        assert {"/userdata", "/run/berth"} <= mounts.keys()
        assert ("/image" in mounts) != ({"/shared", "/pet"} <= mounts.keys())


def test_the_pod_tells_who_it_is() -> None:
    """To whoever finds its pet in use."""
    found = {
        each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in defaults().container()["env"]
        if "valueFrom" in each
    }
    assert found == {
        "NODE_NAME": "spec.nodeName",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_UID": "metadata.uid",
    }


def guest(values: dict[str, object]) -> dict[str, str]:
    configs = NEWEST.template(values).of_kind("ConfigMap")
    return {key: text for each in configs for key, text in each["data"].items()}


def test_keys_reach_root_and_the_default_user() -> None:
    work = KEY.replace("home", "work")
    made = guest({"sshKey": f"# mine\n{KEY}\n\n  {work}  \n"})
    assert made["userdata"].startswith("#cloud-config\n")
    config = yaml.safe_load(made["userdata"])
    # cloud-init gives these to the default user, and to root unless it is disabled (cc_ssh).
    assert config["ssh_authorized_keys"] == [KEY, work]
    assert config["disable_root"] is False
    assert config["ssh_pwauth"] is False


def test_keys_are_metadata_too() -> None:
    made = guest({"sshKey": KEY, "metadata": {"hostname": "pet"}})
    given = yaml_text.parse(made["metadata"].encode())
    assert isinstance(given, dict)
    assert list(metadata.problems(given)) == []
    assert metadata.public_keys(given) == {"key": KEY}
    assert given["hostname"] == "pet"


@pytest.mark.parametrize("spelling", ["public-keys", "public_keys"])
def test_keys_of_ones_own_metadata_stay(spelling: str) -> None:
    made = guest({"sshKey": KEY, "metadata": {spelling: {"mine": "ssh-rsa AAAA"}}})
    given = yaml_text.parse(made["metadata"].encode())
    assert isinstance(given, dict)
    assert metadata.public_keys(given) == {"mine": "ssh-rsa AAAA"}


def test_metadata_is_left_out_where_there_is_none() -> None:
    assert "metadata" not in guest({"userdata": "#!/bin/sh\n"})


def test_default_user_data_is_the_same_for_equal_values() -> None:
    # The checksum of it decides whether VMs are restarted.
    assert json.dumps(guest({"sshKey": KEY})) == json.dumps(guest({"sshKey": KEY}))
    assert defaults().one("ConfigMap", "web-userdata")


def test_further_disks_are_where_the_launcher_looks_and_may_change_their_owner() -> None:
    # Devices are made in the container's own file system, which is read-only but for /dev.
    disks = {"block": {"size": "1Gi"}, "file": {"claimName": "old", "file": "disk.img"}}
    container = NEWEST.template({"sshKey": KEY, "extraDisks": disks}).container()
    environment = {each["name"]: each.get("value") for each in container["env"]}
    mounts = [each["mountPath"] for each in container["volumeMounts"] if "subPath" in each]
    paths = [*mounts, *(each["devicePath"] for each in container["volumeDevices"])]
    assert environment["DISKS_DIR"].startswith("/dev/")
    assert sorted(paths) == [f"{environment['DISKS_DIR']}/{name}" for name in disks]
