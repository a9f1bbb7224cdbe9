"""The drive's files, whole, as goldens; and what must hold for every one of them."""

import json
from ipaddress import IPv4Address
from typing import Any

import pytest

from launcher.seed.metadata import Identity
from launcher.seed.network import StaticNetwork
from launcher.seed.tree import Tree, nocloud, openstack
from launcher.seed.yaml_text import parse
from tests.conftest import Golden

IDENTITY = Identity("web-3", "11111111-2222-4333-8444-555555555555")
NETWORK = StaticNetwork(
    mac="06:fe:01:02:03:04",
    address=IPv4Address("192.168.254.2"),
    prefix=30,
    gateway=IPv4Address("192.168.254.1"),
    mtu=1450,
    name_servers=("10.96.0.10", "10.96.0.11"),
    search=("default.svc.cluster.local", "svc.cluster.local"),
)
USERDATA = b"#cloud-config\nfqdn: web-3.example.org\n"
METADATA = b"""\
hostname: my-host
mac: 52:54:00:12:34:56
public-keys:
- ssh-ed25519 AAAA first
- ssh-ed25519 BBBB second
availability-zone: my-az
meta: {role: web, replicas: 3}
"""
# As people wrote it for the first Berth.
FIRST_BERTH = b"""\
{
    "uuid": "11111111-2222-4333-8444-555555555555",
    "name": "my-name",
    "instance-id": "my-instance-id",
    "availability-zone": "my-az",
    "hostname": "my-hostname",
    "local-hostname": "my-local-hostname",
    "launch-index": "123"
}
"""
BINARY = bytes(range(256))


def metadata(text: bytes) -> dict[str, Any]:
    values = parse(text)
    assert isinstance(values, dict)
    return values


def shown(tree: Tree) -> str:
    return "".join(f"=== {file.path}\n{file.content.decode()}" for file in tree)


@pytest.mark.parametrize(
    ("name", "tree"),
    [
        ("openstack/nothing", openstack(IDENTITY, {}, None)),
        ("openstack/userdata", openstack(IDENTITY, {}, USERDATA)),
        ("openstack/metadata", openstack(IDENTITY, metadata(METADATA), None)),
        ("openstack/first-berth", openstack(IDENTITY, metadata(FIRST_BERTH), USERDATA)),
        ("openstack/static-network", openstack(IDENTITY, {}, USERDATA, NETWORK)),
        ("nocloud/nothing", nocloud(IDENTITY, {}, None)),
        ("nocloud/metadata", nocloud(IDENTITY, metadata(METADATA), USERDATA)),
        ("nocloud/first-berth", nocloud(IDENTITY, metadata(FIRST_BERTH), USERDATA)),
        ("nocloud/static-network", nocloud(IDENTITY, {}, USERDATA, NETWORK)),
    ],
)
def test_tree(name: str, tree: Tree, golden: Golden) -> None:
    golden(f"seed/{name}.txt", shown(tree))


def content(tree: Tree, path: str) -> bytes:
    (found,) = [file.content for file in tree if file.path == path]
    return found


@pytest.mark.parametrize("userdata", [BINARY, b"", "#cloud-config\nmotd: é\n".encode()])
def test_userdata_is_passed_byte_for_byte(userdata: bytes) -> None:
    for version in ("2012-08-10", "latest"):
        assert content(openstack(IDENTITY, {}, userdata), f"openstack/{version}/user_data") == (
            userdata
        )
    assert content(nocloud(IDENTITY, {}, userdata), "user-data") == userdata


def test_uuid_is_the_machines_whatever_the_metadata_says() -> None:
    given: dict[str, Any] = {"uuid": "another", "instance-id": "mine"}
    for file in openstack(IDENTITY, given, None):
        assert json.loads(file.content)["uuid"] == IDENTITY.uuid
    drive = json.loads(content(nocloud(IDENTITY, given, None), "meta-data"))
    assert (drive["uuid"], drive["instance-id"]) == (IDENTITY.uuid, "mine")


def test_empty_values_count_as_not_given() -> None:
    given: dict[str, Any] = dict.fromkeys(
        ("uuid", "name", "hostname", "local-hostname", "instance-id"), ""
    )
    plain = json.loads(openstack(IDENTITY, {}, None)[0].content)
    assert plain.items() <= json.loads(openstack(IDENTITY, given, None)[0].content).items()
    plain = json.loads(nocloud(IDENTITY, {}, None)[0].content)
    assert plain.items() <= json.loads(nocloud(IDENTITY, given, None)[0].content).items()


def test_network_without_names_or_search() -> None:
    bare = StaticNetwork("06:fe:00:00:00:01", NETWORK.address, 30, NETWORK.gateway, 1500)
    data = json.loads(
        content(openstack(IDENTITY, {}, None, bare), "openstack/latest/network_data.json")
    )
    assert data["services"] == []
    assert "dns_search" not in data["networks"][0]
    config = json.loads(content(nocloud(IDENTITY, {}, None, bare), "network-config"))
    assert "nameservers" not in config["ethernets"]["interface0"]


def test_equal_metadata_gives_equal_bytes() -> None:
    one: dict[str, Any] = {"b": 1, "a": {"d": 1, "c": 2}}
    other: dict[str, Any] = {"a": {"c": 2, "d": 1}, "b": 1}
    assert openstack(IDENTITY, one, None) == openstack(IDENTITY, other, None)
