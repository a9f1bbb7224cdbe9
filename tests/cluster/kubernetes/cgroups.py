"""A cgroup for each node, in which its kubelet makes those of the pods."""

import time
from contextlib import suppress
from pathlib import Path

from tests.cluster.kubernetes.errors import ClusterError

MOUNT = Path("/sys/fs/cgroup")
# What kubelet asks for; io and hugetlb where there are.
CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")


def is_unified() -> bool:
    """Whether this machine has version 2 alone."""
    return (MOUNT / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    if is_unified():
        return [MOUNT]
    # Links are other names, such as cpu for cpu,cpuacct.
    return [each for each in MOUNT.iterdir() if each.is_dir() and not each.is_symlink()]


def make(name: str) -> None:
    """Make a cgroup, such as a/b/c, in every hierarchy."""
    for hierarchy in _hierarchies():
        parent = hierarchy
        for word in name.split("/"):
            if is_unified():
                _delegate(parent)
            parent /= word
            parent.mkdir(exist_ok=True)
            # In version 1 nothing can run in a cpuset before it has processors and memory.
            for file in ("cpuset.cpus", "cpuset.mems"):
                if not is_unified() and (parent / file).exists():
                    (parent / file).write_text((parent.parent / file).read_text())


def _delegate(parent: Path) -> None:
    for controller in CONTROLLERS:
        # The kernel may not have it. A missing one that kubelet needs, it names itself.
        with suppress(OSError):
            (parent / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name: str, seconds: float = 20.0) -> None:
    """Remove a cgroup and all below it, from which every process has gone.

    :raise ClusterError: when something still is in one of them after that time.
    """
    deadline = time.monotonic() + seconds
    for hierarchy in _hierarchies():
        top = hierarchy / name
        while top.exists():
            for folder in sorted((each for each in top.rglob("*") if each.is_dir()), reverse=True):
                _rmdir(folder)
            if _rmdir(top):
                break
            if time.monotonic() > deadline:
                raise ClusterError(f"{top} cannot be removed: something is still in it")
            time.sleep(0.05)
        # Other clusters may be in it.
        _rmdir(top.parent)


def _rmdir(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
