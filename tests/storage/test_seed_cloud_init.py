"""Debian's own cloud-init reads the drives. Nothing of it is installed: it is unpacked and run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launcher.seed import iso
from launcher.seed.network import StaticNetwork
from launcher.seed.tree import Tree, nocloud, openstack
from tests.guests.debs import Apt
from tests.unit.seed.test_tree import (
    BINARY,
    FIRST_BERTH,
    IDENTITY,
    METADATA,
    NETWORK,
    USERDATA,
    metadata,
)

READER = Path(__file__).parent / "cloud_init_reader.py"
MAKERS = {"openstack": openstack, "nocloud": nocloud}


@pytest.fixture(scope="session")
def cloud_init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package `cloudinit` and what else is not in this environment already."""
    folder = tmp_path_factory.mktemp("cloud-init")
    packages = ("cloud-init", "python3-configobj", "python3-six")
    Apt(folder / "apt").unpack(packages, folder / "tree", dependencies=False)
    return folder / "tree/usr/lib/python3/dist-packages"


class Reader:
    """Puts a tree on a drive, takes it off again, and lets cloud-init read it."""

    def __init__(self, cloud_init: Path, folder: Path) -> None:
        self._cloud_init = cloud_init
        self._folder = folder

    def read(self, kind: str, tree: Tree) -> dict[str, Any]:
        path, files = self._folder / "seed.iso", self._folder / "files"
        iso.reserve(path, iso.capacity(tree))
        iso.write(tree, "config-2", path)
        for file in tree:
            place = files / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                argv = ["isoinfo", "-R", "-i", str(path), "-x", f"/{file.path}"]
                subprocess.run(argv, check=True, stdout=out)
        done = subprocess.run(
            [sys.executable, str(READER), kind, str(files), NETWORK.mac],
            env=os.environ | {"PYTHONPATH": str(self._cloud_init)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def reader(cloud_init: Path, tmp_path: Path) -> Reader:
    return Reader(cloud_init, tmp_path)


@pytest.mark.parametrize("kind", MAKERS)
def test_drive_with_nothing_given_is_complete(reader: Reader, kind: str) -> None:
    found = reader.read(kind, MAKERS[kind](IDENTITY, {}, None))
    assert found["metadata"]["instance-id"] == IDENTITY.uuid
    assert found["metadata"]["local-hostname"] == "web-3"
    assert found["metadata"]["launch-index"] == 3
    assert found["userdata"] == ""
    assert found["keys"] == []
    assert found["network"] == {}


@pytest.mark.parametrize("kind", MAKERS)
def test_metadata_and_userdata_arrive(reader: Reader, kind: str) -> None:
    found = reader.read(kind, MAKERS[kind](IDENTITY, metadata(METADATA), BINARY))
    assert found["metadata"]["instance-id"] == IDENTITY.uuid
    assert found["metadata"]["local-hostname"] == "my-host"
    assert found["metadata"]["mac"] == "52:54:00:12:34:56"
    assert found["metadata"]["meta"] == {"role": "web", "replicas": 3}
    assert found["keys"] == ["ssh-ed25519 AAAA first", "ssh-ed25519 BBBB second"]
    assert bytes.fromhex(found["userdata"]) == BINARY


@pytest.mark.parametrize(
    ("kind", "instance", "hostname"),
    [
        ("openstack", IDENTITY.uuid, "my-hostname"),
        ("nocloud", "my-instance-id", "my-local-hostname"),
    ],
)
def test_metadata_of_the_first_berth(
    reader: Reader, kind: str, instance: str, hostname: str
) -> None:
    found = reader.read(kind, MAKERS[kind](IDENTITY, metadata(FIRST_BERTH), USERDATA))
    assert found["metadata"]["instance-id"] == instance
    assert found["metadata"]["local-hostname"] == hostname
    assert found["metadata"]["launch-index"] == 123


NAMELESS = StaticNetwork(NETWORK.mac, NETWORK.address, 30, NETWORK.gateway, 1450)
WITHOUT_SEARCH = StaticNetwork(
    NETWORK.mac, NETWORK.address, 30, NETWORK.gateway, 1450, NETWORK.name_servers
)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("network", [NETWORK, WITHOUT_SEARCH, NAMELESS])
def test_static_network_is_applied_in_full(
    reader: Reader, kind: str, network: StaticNetwork
) -> None:
    found = reader.read(kind, MAKERS[kind](IDENTITY, {}, None, network))["network"]
    for line in (
        "address 192.168.254.2/30",
        "mtu 1450",
        "post-up route add default gw 192.168.254.1",
    ):
        assert line in found["eni"]
    for line in ("- 192.168.254.2/30", f"macaddress: {network.mac}", "mtu: 1450"):
        assert line in found["netplan"]
    assert "to: 0.0.0.0/0" in found["netplan"]
    assert "via: 192.168.254.1" in found["netplan"]
    if network.name_servers:
        assert f"dns-nameservers {' '.join(network.name_servers)}" in found["eni"]
    if network.search:
        assert f"dns-search {' '.join(network.search)}" in found["eni"]
    for name in (*network.name_servers, *network.search):
        assert f"- {name}" in found["netplan"]
