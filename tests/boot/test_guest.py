"""The VM as one who logs in at the pod's address finds it."""

import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest

from tests.boot.conftest import Up
from tests.pods.shapes import MTU
from tests.pods.ssh import Client, make_key

VM_IP, VM_GW = "192.168.254.2", "192.168.254.1"
CONFIG = "/config/openstack/latest"


def test_ssh_at_the_pods_address_reaches_the_vm(up: Up) -> None:
    assert up.ssh("hostname") == "web-3"


def test_only_the_key_of_the_user_data_is_let_in(up: Up, tmp_path: Path) -> None:
    ours = up.pod.client
    other = Client(ours.namespace, ours.address, make_key(tmp_path), ours.known_hosts)
    refused = other.attempt("true")
    assert (refused.returncode, b"Permission denied" in refused.stderr) == (255, True)


def test_the_lease_says_all_that_the_pod_knows(up: Up) -> None:
    lines = shlex.split(up.ssh("cat /run/lease"))
    lease = dict(line.split("=", 1) for line in lines)
    wanted = {
        "ip": VM_IP,
        "mask": "30",
        "router": VM_GW,
        "dns": "10.96.0.10",
        "domain": "default.svc.cluster.local",
        "search": "default.svc.cluster.local cluster.local",
        "mtu": str(MTU),
        "hostname": "web-3",
        "lease": str(0xFFFFFFFF),
    }
    assert {name: lease.get(name) for name in wanted} == wanted


def test_the_card_itself_knows_the_pods_mtu(up: Up) -> None:
    """For guests that ask DHCP for none: virtio's VIRTIO_NET_F_MTU, feature 3."""
    features = up.ssh("cat /sys/class/net/eth0/device/features")
    assert (features[3], up.ssh("cat /sys/class/net/eth0/mtu")) == ("1", str(MTU))


def test_the_mac_is_made_of_the_name(up: Up) -> None:
    digest = hashlib.sha256(b"web-3").hexdigest()[:8]
    octets = re.findall("..", f"06fe{digest}")
    assert up.ssh("cat /sys/class/net/eth0/address") == ":".join(octets)


def test_the_instance_is_the_machine(up: Up) -> None:
    """cloud-init takes a guest whose two UUIDs differ for a new instance at every boot."""
    meta_data = json.loads(up.ssh(f"cat {CONFIG}/meta_data.json"))
    assert up.ssh("cat /sys/class/dmi/id/product_uuid") == meta_data["uuid"]


def test_the_meta_data_has_the_names_and_the_ordinal(up: Up) -> None:
    meta_data = json.loads(up.ssh(f"cat {CONFIG}/meta_data.json"))
    wanted = {"name": "web-3", "hostname": "web-3", "launch_index": 3, "launch-index": 3}
    assert {name: meta_data.get(name) for name in wanted} == wanted


def test_the_user_data_arrives_byte_for_byte(up: Up) -> None:
    digest = hashlib.sha256(up.pod.userdata.read_bytes()).hexdigest()
    assert up.ssh(f"sha256sum <{CONFIG}/user_data").split()[0] == digest


def test_both_versions_are_the_same(up: Up) -> None:
    up.ssh(f"cd {CONFIG}/..; for each in *; do diff -r $each latest || exit 1; done")
    assert up.ssh(f"ls {CONFIG}/..").split() == ["2012-08-10", "latest"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("cat /sys/class/misc/hw_random/rng_current", "virtio_rng.0"),
        ("grep -l org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name | wc -l", "1"),
        ("ls /sys/bus/virtio/drivers/virtio_balloon | grep -c virtio", "1"),
    ],
    ids=["entropy", "agent", "balloon"],
)
def test_the_helper_devices_are_there(up: Up, command: str, answer: str) -> None:
    assert up.ssh(command) == answer


def test_the_guest_discards_what_it_deletes(up: Up) -> None:
    assert int(up.ssh("cat /sys/block/vda/queue/discard_max_bytes")) > 0


def test_the_console_is_on_stdout(up: Up) -> None:
    assert "ssh ready" in up.run.console.text
    assert "ssh ready" not in up.run.log.text


def test_the_log_says_how_it_runs(up: Up) -> None:
    assert "startvm: running with TCG: ACCEL=tcg\n" in up.run.log.text
    assert "startvm: web-3 is running\n" in up.run.log.text


def test_status_says_running(up: Up) -> None:
    assert up.pod.berth("status").stdout == "running\n"
    state = json.loads(up.pod.berth("status", "--json").stdout)
    assert state["phase"] == "running"
