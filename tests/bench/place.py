"""Where benchmarks keep their files, and the machine that they ran on."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.guests import cache


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on a real file system: /tmp is memory on many machines.

    :raise SystemExit: when the cache is in memory, too.
    """
    cache.folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.folder(), prefix="bench-") as name:
        if file_system(Path(name)) in ("tmpfs", "ramfs"):
            raise SystemExit(f"{name} is in memory; name a folder on a disk: BERTH_CACHE=...")
        yield Path(name)


def file_system(path: Path) -> str:
    argv = ["df", "--output=fstype", str(path)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[-1]


def machine(path: Path) -> str:
    """One line about this machine before anything is measured; `path` is where that will be."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    version = subprocess.run(
        ["qemu-img", "--version"], check=True, capture_output=True, text=True
    ).stdout.split()[2]
    return (
        f"{len(os.sched_getaffinity(0))} CPUs ({_cpu()}), {memory:.0f} GiB, {file_system(path)}, "
        f"Linux {platform.release()}, QEMU {version}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
