"""What a cluster's name stands for: its folder, its links, its addresses."""

import fcntl
import ipaddress
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.kubernetes.errors import ClusterError

# Not below /run: images and disks would be kept in memory.
ROOT = Path("/var/lib/berth-cluster")

# Interfaces have names of 15 characters at most: `bc-` before it, `-0` after it.
NAME = re.compile(r"[a-z0-9]{1,10}")

CLUSTERS = 60

# Seen by pods only, so all clusters can have the same.
SERVICES = "10.96.0.0/16"
API_SERVICE, DNS_SERVICE = "10.96.0.1", "10.96.0.10"
DOMAIN = "cluster.local"

# What newer Kubernetes has on by itself.
GATES = ("ImageVolume",)


@dataclass(frozen=True)
class NodePlace:
    """`pods` is the network that the node's pods have their addresses from."""

    name: str
    folder: Path
    address: str
    pods: str
    # This machine's end of the link to the node.
    link: str
    # The node's cgroup, below the root of every hierarchy.
    cgroup: str
    is_calico: bool


@dataclass(frozen=True)
class Place:
    """`number` tells the addresses of several clusters apart."""

    name: str
    number: int

    @property
    def folder(self) -> Path:
        return ROOT / self.name

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"

    @property
    def www(self) -> Path:
        return self.folder / "www"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def bridge(self) -> str:
        return f"bc-{self.name}"

    @property
    def cgroup(self) -> str:
        return f"{ROOT.name}/{self.name}"

    @property
    def network(self) -> str:
        """This machine and the nodes."""
        return f"10.243.{self.number}.0/24"

    @property
    def host(self) -> str:
        return f"10.243.{self.number}.1"

    @property
    def pods(self) -> str:
        """All nodes' pods."""
        return f"10.244.{4 * self.number}.0/22"

    @property
    def nodes(self) -> tuple[NodePlace, ...]:
        return tuple(
            NodePlace(
                name=f"node{index}",
                folder=self.folder / f"node{index}",
                address=f"10.243.{self.number}.{10 + index}",
                pods=f"10.244.{4 * self.number + index}.0/24",
                link=f"{self.bridge}-{index}",
                cgroup=f"{self.cgroup}/node{index}",
                is_calico=index == 1,
            )
            for index in range(2)
        )


def check_name(name: str) -> None:
    """:raise ClusterError: when no cluster can be called so."""
    if not NAME.fullmatch(name):
        raise ClusterError(f"a cluster cannot be called {name!r}: a-z and 0-9, at most 10 of them")


def existing() -> dict[str, Place]:
    """The places of all clusters that were made and not removed, by name."""
    places = {}
    for record in sorted(ROOT.glob("*/place.json")):
        with suppress(FileNotFoundError, ValueError):
            name = record.parent.name
            places[name] = Place(name, int(json.loads(record.read_text())["number"]))
    return places


def claim(name: str) -> Place:
    """The place of the cluster of that name; a new one gets addresses that nothing here uses.

    :raise ClusterError: when the name will not do or there are too many clusters.
    """
    check_name(name)
    with locked(ROOT):
        places = existing()
        if name in places:
            return places[name]
        taken = {place.number for place in places.values()}
        routes = _routes()
        for number in range(CLUSTERS):
            place = Place(name, number)
            ours = [ipaddress.ip_network(each) for each in (place.network, place.pods)]
            if number not in taken and not any(a.overlaps(b) for a in ours for b in routes):
                place.folder.mkdir(exist_ok=True)
                record = place.folder / "place.json.new"
                record.write_text(json.dumps({"number": number}))
                record.rename(place.folder / "place.json")
                return place
    raise ClusterError("10.243.0.0/16 and 10.244.0.0/16 have no room for another cluster")


def _routes() -> list[ipaddress.IPv4Network]:
    listed = subprocess.run(
        ["ip", "-json", "-4", "route"], capture_output=True, text=True, check=True
    )
    words = [str(route["dst"]) for route in json.loads(listed.stdout)]
    return [ipaddress.IPv4Network(word) for word in words if word != "default"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder if need be and have it for ourselves; its owner may remove it meanwhile."""
    while (fd := _lock(folder)) is None:
        pass
    try:
        yield
    finally:
        os.close(fd)


def _lock(folder: Path) -> int | None:
    """A locked descriptor of the folder; None if its owner removed it while we waited."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        if os.path.samestat(os.fstat(fd), folder.stat()):
            return fd
    except FileNotFoundError:
        pass
    os.close(fd)
    return None
