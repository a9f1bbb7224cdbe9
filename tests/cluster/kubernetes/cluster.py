"""A cluster by its name: made, found again, used, removed."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.cluster import programs
from tests.cluster.kubernetes import (
    block,
    cgroups,
    control_plane,
    credentials,
    host_network,
    images,
    node,
    place,
    processes,
    tools_image,
)
from tests.cluster.kubernetes.errors import ClusterError, wait_for
from tests.cluster.kubernetes.place import NodePlace, Place

# What `./dev cluster` and `./dev demo` use when no other is named.
DEFAULT = "demo"

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "containerd",
    "coredns",
    "helm",
)
# Each is one process at least, for as long as the cluster is well.
ROLES = {
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns"),
    *("volumes", "www"),
    *(f"{name}-{role}" for name in ("node0", "node1") for role in ("init", "containerd")),
    *(f"{name}-{role}" for name in ("node0", "node1") for role in ("kubelet", "kube-proxy")),
}
LOG_TAIL = 1500


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs; `host` is this machine's address, which its nodes and pods reach."""

    place: Place

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def host(self) -> str:
        return self.place.host

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.place.kubeconfig

    @property
    def nodes(self) -> tuple[NodePlace, ...]:
        """node0 with ordinary pods, node1 with Calico's."""
        return self.place.nodes

    @property
    def www(self) -> Path:
        """What is in this folder is served at `url`."""
        return self.place.www

    def url(self, name: str) -> str:
        return f"http://{self.host}:{control_plane.WWW_PORT}/{name}"

    def publish(self, file: Path, name: str = "") -> str:
        """Serve a copy of a file; returns its address."""
        name = name or file.name
        shutil.copyfile(file, new := self._new(name))
        new.rename(self.www / name)
        return self.url(name)

    def write(self, name: str, content: bytes) -> str:
        """Serve these bytes; returns their address."""
        (new := self._new(name)).write_bytes(content)
        new.rename(self.www / name)
        return self.url(name)

    def _new(self, name: str) -> Path:
        place = self.www / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place.with_name(f".{place.name}.new")

    def environment(self) -> dict[str, str]:
        """For programs that a user would run: helm and kubectl in PATH, and KUBECONFIG."""
        path = programs.search_path("helm", "kubectl")
        return {**os.environ, "PATH": path, "KUBECONFIG": os.fspath(self.kubeconfig)}

    def load(self, archive: Path) -> None:
        """Load a container image, from the archive that `podman save` writes, into all nodes.

        :raise ClusterError: when containerd does not take it.
        """
        status = archive.stat()
        loaded = f"{archive} {status.st_size} {status.st_mtime_ns}"
        record = self.place.folder / "loaded"
        # Only the last one: another archive may have brought another image of the same name.
        if record.exists() and record.read_text() == loaded:
            return
        enter = [node.enter(node.find_init(self.place, each)) for each in self.nodes]
        _all_at_once(*(partial(images.load, words, archive) for words in enter))
        record.write_text(loaded)

    def missing(self) -> set[str]:
        """What should run and does not; empty for a cluster that is well."""
        return ROLES - set(processes.roles(processes.running(self.place.folder)))


def find(name: str) -> Cluster | None:
    """The cluster of that name, if it is there; parts of it may have ended."""
    found = place.existing().get(name)
    return Cluster(found) if found and _is_complete(found) else None


def up(name: str) -> Cluster:
    """Make a cluster, or return the one that runs under this name. It goes on without us.

    One that is not well any more is made anew.

    :raise ClusterError: when it cannot be made, with the ends of its parts' logs. Nothing is left.
    """
    place.check_name(name)
    if os.geteuid() != 0:
        raise ClusterError("a cluster needs root, for its network and its nodes")
    programs.prepare(*PROGRAMS)
    with place.locked(place.ROOT / name):
        if (here := find(name)) and not here.missing():
            return here
        _remove(name)
        ours = place.claim(name)
        try:
            _make(ours)
        except BaseException as error:
            logs = _log_tails(ours)
            _remove(name)
            ours.folder.rmdir()
            host_network.restore_forwarding()
            if isinstance(error, (ClusterError, OSError, subprocess.CalledProcessError)):
                raise ClusterError(
                    f"the cluster {name} could not be made: {error}\n{logs}"
                ) from error
            raise
    return Cluster(ours)


def down(name: str) -> None:
    """Remove a cluster with all that is in it, whatever state it is in, or do nothing.

    :raise ClusterError: when something of it does not go away.
    """
    place.check_name(name)
    with place.locked(place.ROOT / name):
        _remove(name)
        (place.ROOT / name).rmdir()
    host_network.restore_forwarding()


def _make(ours: Place) -> None:
    ours.logs.mkdir()
    host_network.make(ours)
    credentials.make(ours)
    control_plane.start_www(ours)
    tools_image.write(ours.folder / "tools.tar")
    _all_at_once(
        partial(control_plane.start_api, ours),
        *(partial(node.start, ours, each) for each in ours.nodes),
    )
    control_plane.start_rest(ours)
    for each in ours.nodes:
        node.start_kubelet(ours, each)
    _wait_until_usable(ours)
    (ours.folder / "complete").touch()


def _wait_until_usable(ours: Place) -> None:
    def ready() -> bool:
        asked = control_plane.kubectl(ours, "get", "nodes", "-o", "json")
        if asked.returncode:
            return False
        conditions = [each["status"]["conditions"] for each in json.loads(asked.stdout)["items"]]
        states = [{each["type"]: each["status"] for each in some} for some in conditions]
        return [state.get("Ready") for state in states] == ["True"] * len(ours.nodes)

    wait_for("all nodes are ready", ready, 120, pause=0.2)
    # No pod is admitted before its namespace has one.
    account = ("get", "serviceaccount", "default")
    wait_for(
        "the first service account",
        lambda: control_plane.kubectl(ours, *account).returncode == 0,
        60,
        pause=0.2,
    )


def _is_complete(ours: Place) -> bool:
    return (ours.folder / "complete").exists()


def _remove(name: str) -> None:
    """Remove all that a name stands for but its folder, which is locked.

    Its number does not matter to any of it.
    """
    ours = Place(name, 0)
    processes.end_all(ours.folder)
    block.detach_below(ours.volumes)
    host_network.remove(ours)
    cgroups.remove(ours.cgroup)
    # A node's mounts are gone with its last process, so that nothing else is below.
    for each in ours.folder.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink()


def _log_tails(ours: Place) -> str:
    tails = []
    for log in sorted(ours.logs.glob("*.log")):
        text = log.read_text("utf-8", "replace")[-LOG_TAIL:].strip()
        tails.append(f"--- {log.name}\n{text}")
    return "\n".join(tails)


def _all_at_once(*steps: Callable[[], None]) -> None:
    """Take steps that do not depend on each other; the first error is raised when all are over."""
    with ThreadPoolExecutor(len(steps)) as pool:
        for future in [pool.submit(step) for step in steps]:
            future.result()
