"""What is found out about disks is what QEMU's own block layer finds when it opens them."""

import subprocess
from pathlib import Path

import pytest

from launcher.host import storage


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(bytes(1 << 20))
    return path


def qemu_reads(disk: Path, **options: str) -> bool:
    given = ",".join(f"{key}={value}" for key, value in options.items())
    image = f"driver=file,filename={disk},{given}"
    argv = ["qemu-io", "--image-opts", image, "-c", "read 0 4096"]
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.returncode == 0 and "read 4096/4096" in done.stdout


def test_io_uring(disk: Path) -> None:
    assert storage.has_io_uring() is qemu_reads(disk, aio="io_uring")


def test_direct(disk: Path) -> None:
    assert storage.supports_direct(disk) is qemu_reads(disk, **{"cache.direct": "on"})


@pytest.mark.parametrize("has_io_uring", [True, False])
@pytest.mark.parametrize("direct", [True, False])
def test_whatever_is_chosen_works(
    disk: Path, has_io_uring: bool, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not storage.has_io_uring() or not has_io_uring:
        monkeypatch.setattr(storage, "has_io_uring", lambda: False)
    direct = direct and storage.supports_direct(disk)
    words = {"cache.direct": "on" if direct else "off", "aio": storage.choose_aio(direct)}
    assert qemu_reads(disk, **words)


def test_looking_leaves_nothing_open(disk: Path) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    storage.has_io_uring()
    storage.supports_direct(disk)
    assert sorted(Path("/proc/self/fd").iterdir()) == before
