"""How QEMU is to wait for its disks. Whether a kernel has io_uring: tests/storage."""

from pathlib import Path

import pytest

from launcher.host import storage
from launcher.host.storage import choose_aio, supports_direct


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
