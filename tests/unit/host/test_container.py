"""The container's limits, from cgroup trees as kernels show them."""

import socket
from pathlib import Path

import pytest

from launcher.host import container
from launcher.host.container import Container

MIB = 1 << 20


def tree(folder: Path, **files: str) -> Path:
    """A cgroup folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


def limits(folder: Path, files: dict[str, str]) -> tuple[float | None, int | None]:
    found = container.read(tree(folder, **files))
    return found.cpus, found.memory


V1_NONE = "9223372036854771712"


@pytest.mark.parametrize(
    ("files", "cpus", "memory"),
    [
        ({}, None, None),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ({"cpu.max": "150000 100000", "memory.max": "536870912"}, 1.5, 512 * MIB),
        ({"cpu.max": "50000 100000"}, 0.5, None),
        ({"memory.max": "1073741824"}, None, 1024 * MIB),
        ({"cpu.max": "", "memory.max": ""}, None, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0, None),
        ({"cpu/cpu.cfs_quota_us": "200000"}, None, None),
        ({"memory/memory.limit_in_bytes": V1_NONE}, None, None),
        # The same "no limit" with pages of 64 KiB.
        ({"memory/memory.limit_in_bytes": "9223372036854710272"}, None, None),
        ({"memory/memory.limit_in_bytes": "536870912"}, None, 512 * MIB),
    ],
)
def test_limits(
    tmp_path: Path, files: dict[str, str], cpus: float | None, memory: int | None
) -> None:
    assert limits(tmp_path, files) == (cpus, memory)


def test_no_cgroups(tmp_path: Path) -> None:
    assert limits(tmp_path / "missing", {}) == (None, None)


def test_host_name_is_the_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "web-0")
    assert container.read(tmp_path) == Container("web-0", None, None)


@pytest.mark.parametrize(
    ("mounts", "legacy"),
    [
        ({"/image"}, True),
        (set(), False),
        ({"/image", "/pet"}, False),
        ({"/image", "/shared"}, False),
        ({"/shared", "/pet"}, False),
    ],
)
def test_the_one_volume_of_the_first_berth(
    mounts: set[str], legacy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.path.ismount", lambda path: path in mounts)
    assert container.mounts_only_image() is legacy


def test_what_is_no_number_is_no_limit(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("nonsense 100000\n")
    (tmp_path / "memory.max").write_text("\n\n")
    found = container.read(tmp_path)
    assert (found.cpus, found.memory) == (None, None)
