"""What a pod needs besides its guest's memory, against what the chart asks for."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.conftest import Web
from tests.cluster.target import Target
from tests.conftest import Measured

MIB = 1 << 20
GUEST = 1024 * MIB
CGROUPS = Path("/sys/fs/cgroup")
# Beyond all partitions of the disk, which has 10 GiB.
WRITE = "dd if=/dev/zero of=/dev/vda bs=1M seek=1024 count=400 conv=fsync 2>/dev/null"
READ = "dd if=/dev/vda of=/dev/null bs=1M skip=1024 count=400 2>/dev/null"


class Cgroup(NamedTuple):
    """A pod's, of version 1 or 2."""

    folder: Path
    qemu: Path

    @property
    def beyond_guest(self) -> int:
        """The pod's working set, which is what kubelet counts, without the guest's memory."""
        # In this order, so that what the guest takes meanwhile is counted to us.
        guest = resident(self.qemu, GUEST)
        return self.working_set - guest

    @property
    def working_set(self) -> int:
        version_2 = self.folder / "memory.current"
        used = version_2 if version_2.exists() else self.folder / "memory.usage_in_bytes"
        statistics = dict(
            line.split() for line in (self.folder / "memory.stat").read_text().splitlines()
        )
        inactive = statistics.get("total_inactive_file") or statistics["inactive_file"]
        return int(used.read_text()) - int(inactive)


def find(uid: str) -> Cgroup:
    """The cgroup of the pod with this uid, which has to be on this machine."""
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            if not (path.parent / "comm").read_text().startswith("qemu-system"):
                continue
            found = re.search(rf"^\d+:(memory)?:(/.*pod{uid})/", path.read_text(), re.MULTILINE)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if found:
            return Cgroup(CGROUPS / (found[1] or "") / found[2].lstrip("/"), path.parent)
    raise LookupError(f"no QEMU of pod {uid}")


def resident(process: Path, size: int) -> int:
    """How much of the process's one mapping of this size is in memory."""
    found = []
    for text in re.split(r"^(?=[0-9a-f]+-)", (process / "smaps").read_text(), flags=re.MULTILINE):
        fields = dict(re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE))
        if fields and int(fields["Size"]) * 1024 == size:
            found.append(int(fields["Rss"]) * 1024)
    assert len(found) == 1, found
    return found[0]


def promised(web: Web) -> int:
    """What the chart's limit leaves besides the guest's memory."""
    limit = web.release.namespace.get("pod/web-0", ".spec.containers[0].resources.limits.memory")
    assert limit.endswith("Mi"), limit
    return int(limit.removesuffix("Mi")) * MIB - GUEST


def test_what_the_chart_asks_for_is_enough(web: Web, cluster: Target, measured: Measured) -> None:
    if cluster.own is None:
        pytest.skip("KUBECONFIG names a cluster that is not ours to test")
    cgroup = find(web.release.uid())
    idle = cgroup.beyond_guest
    peak = idle
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(web.ssh, f"{WRITE}; {READ}")
        while not work.done():
            peak = max(peak, cgroup.beyond_guest)
            time.sleep(0.1)
        work.result()
    after = cgroup.beyond_guest
    room = promised(web)
    measured(
        f"a pod's memory beyond its guest's: {idle / MIB:.0f} MiB idle,"
        f" {peak / MIB:.0f} MiB at most under disk I/O, {after / MIB:.0f} MiB after it;"
        f" the chart asks for {room / MIB:.0f} MiB"
    )
    # A limit that is a hair above what is used today would be one tomorrow's version breaks.
    assert 0 < idle <= peak < 0.9 * room
