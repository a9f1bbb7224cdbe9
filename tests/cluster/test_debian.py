"""A Debian guest with the user-data that the chart makes, as anybody's first VM is."""

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from tests.chart.examples import FOLDER, Example
from tests.cluster import namespaces
from tests.cluster.release import Defaults, Release, install, wait_until
from tests.cluster.served import Guests
from tests.cluster.target import Target
from tests.pods.ssh import Client

GIB = 1 << 30
# systemd and all of cloud-init, emulated.
PATIENCE = 600.0
# The release's, and so that of a Service.
NAME = "deb"


@pytest.fixture(scope="module")
def debian(cluster: Target, defaults: Defaults, guests: Guests) -> Iterator[Release]:
    with namespaces.namespace(cluster) as namespace:
        ours = defaults._replace(guest=guests.debian)
        values = {"vm": {"memory": "512Mi", "diskSize": "3Gi"}, "kvm": "off"}
        release = install(ours, NAME, values, namespace)
        release.wait_for_ssh(seconds=PATIENCE)
        # sshd is there before the keys are.
        release.wait_for_log("finished at", seconds=PATIENCE)
        yield release


def test_root_logs_in_with_the_key(debian: Release) -> None:
    assert debian.ssh("id -un") == "root"


def test_the_image_s_user_logs_in_with_the_key(debian: Release) -> None:
    assert as_user(debian.client(), "debian", "sudo id -un") == "root"


def as_user(client: Client, name: str, command: str) -> str:
    words = [word.replace("root@", f"{name}@") for word in client.argv(command)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_cloud_init_is_done_without_errors(debian: Release) -> None:
    said = debian.ssh("cloud-init status --wait --long")
    assert "status: done" in said
    assert "errors:" not in said.replace("errors: []", "")


def test_its_name_is_the_pod_s(debian: Release) -> None:
    assert debian.ssh("hostname") == debian.pod()


def test_its_file_system_has_the_disk_s_size(debian: Release) -> None:
    assert int(debian.ssh("findmnt --bytes --noheadings --output SIZE /")) > 2.5 * GIB


def test_short_names_of_services_need_a_word_of_the_user_data(debian: Release) -> None:
    # DHCP says the search domains; networkd does not take them unless it is told.
    look_up = f"getent hosts {NAME} || echo unknown"
    assert debian.ssh(look_up) == "unknown"
    userdata = yaml.safe_load(Example(FOLDER / "web-server.yaml").values["userdata"])
    (file,) = (each for each in userdata["write_files"] if each["path"].endswith(".network"))
    debian.client().run(f"cat >{file['path']} && networkctl reload", file["content"].encode())
    found = f"{debian.address()} "
    wait_until(lambda: debian.ssh(look_up).startswith(found), otherwise=lambda: debian.ssh(look_up))
