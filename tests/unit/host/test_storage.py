"""How QEMU is to wait for its disks. Whether a kernel has io_uring: tests/storage."""

import os
from pathlib import Path

import pytest

from launcher.host import storage
from launcher.host.storage import choose_aio, has_local_locks, locks_stay_here, supports_direct


@pytest.mark.parametrize(
    ("has_io_uring", "direct", "aio"),
    [
        (True, True, "io_uring"),
        (True, False, "io_uring"),
        (False, True, "native"),
        # Linux AIO through the page cache is synchronous, and QEMU refuses it.
        (False, False, "threads"),
    ],
)
def test_aio(monkeypatch: pytest.MonkeyPatch, has_io_uring: bool, direct: bool, aio: str) -> None:
    monkeypatch.setattr(storage, "has_io_uring", lambda: has_io_uring)
    assert choose_aio(direct) == aio


def test_direct_needs_a_file(tmp_path: Path) -> None:
    assert not supports_direct(tmp_path / "missing")


DEVICE = os.makedev(0, 92)


def mounts(kind: str, options: str) -> str:
    """As a pod has them: its own root, and a volume by way of its node."""
    return (
        "500 400 0:81 / / rw,relatime master:7 - overlay overlay rw,lowerdir=nolock\n"
        f"501 500 0:92 /pet /pet rw,nolock,nobrl shared:9 - {kind} server:/vol {options}\n"
        "502 500 0:93 / /other rw - nfs other:/vol rw,nolock\n"
    )


@pytest.mark.parametrize(
    ("kind", "options", "local"),
    [
        ("nfs", "rw,vers=3,nolock,local_lock=none,addr=10.0.0.1", True),
        ("nfs", "rw,vers=3,local_lock=all", True),
        ("nfs4", "rw,vers=4.2,local_lock=posix", True),
        # QEMU has none of those of flock(2), which is what this one is about.
        ("nfs4", "rw,vers=4.2,local_lock=flock", False),
        ("nfs4", "rw,vers=4.2,local_lock=none,addr=10.0.0.1", False),
        ("nfs", "rw,vers=3,local_lock=none", False),
        ("cifs", "rw,vers=3.1.1,nobrl,uid=0", True),
        ("cifs", "rw,vers=3.1.1,uid=0", False),
        ("ext4", "rw,nobrl,nolock", False),
    ],
)
def test_locks_that_no_other_node_hears_of(kind: str, options: str, local: bool) -> None:
    assert has_local_locks(mounts(kind, options), DEVICE) is local


@pytest.mark.parametrize("text", ["", "\n", "a - b", "1 2 0:92 / /pet rw", "1 2 0:92 / / rw - nfs"])
def test_mounts_that_say_nothing(text: str) -> None:
    assert not has_local_locks(text, DEVICE)


def test_locks_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the file system's, wherever in it the folder is."""
    device = tmp_path.stat().st_dev
    here = f"{os.major(device)}:{os.minor(device)}"
    read = Path.read_text
    line = f"1 2 {here} / /somewhere rw - nfs server:/vol rw,nolock"

    def text(path: Path, encoding: str, errors: str) -> str:
        return line if path == Path("/proc/self/mountinfo") else read(path, encoding, errors)

    monkeypatch.setattr(Path, "read_text", text)
    assert locks_stay_here(tmp_path)
    assert not locks_stay_here(tmp_path / "missing")
