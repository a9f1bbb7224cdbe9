"""What the container is allowed, read from its cgroup (v2, or v1 where that is what there is)."""

import os
import socket
from pathlib import Path
from typing import NamedTuple

# cgroup v1 says "no limit" with the largest page-aligned 63-bit number, whatever the page size.
V1_UNLIMITED = 1 << 62

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Container(NamedTuple):
    """`cpus`: CPU limit in cores; `memory`: memory limit in bytes; None where there is none."""

    hostname: str
    cpus: float | None = None
    memory: int | None = None


def read(cgroup: Path = Path("/sys/fs/cgroup")) -> Container:
    """Read the container's host name and limits. What cannot be read counts as no limit."""
    return Container(
        hostname=socket.gethostname(),
        cpus=_cpus_v2(cgroup) or _cpus_v1(cgroup),
        memory=_memory(cgroup / "memory.max") or _memory(cgroup / "memory/memory.limit_in_bytes"),
    )


def boot_id() -> str:
    """The random name of the present run of the kernel, the same in all containers of a machine."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    """A whole number above zero; None for `max`, for -1 and for whatever else stands there."""
    return int(text) if text.isdecimal() and int(text) > 0 else None


def _cpus_v2(cgroup: Path) -> float | None:
    words = _text(cgroup / "cpu.max").split()
    return _ratio(*words) if len(words) == 2 else None


def _cpus_v1(cgroup: Path) -> float | None:
    cpu = cgroup / "cpu"
    return _ratio(_text(cpu / "cpu.cfs_quota_us"), _text(cpu / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    above, below = _number(quota), _number(period)
    return above / below if above and below else None


def _memory(path: Path) -> int | None:
    found = _number(_text(path))
    return None if found is None or found >= V1_UNLIMITED else found


def mounts_only_image() -> bool:
    """Whether the container has the one volume of the first Berth, /image, and neither of ours."""
    ours = ("/shared", "/pet")
    return os.path.ismount("/image") and not any(os.path.ismount(each) for each in ours)
