"""What is unpacked goes to the disk while more of it comes."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.host.errors import StorageError
from launcher.image import settling, transfer
from tests.storage.conftest import MIB
from tests.storage.ensuring import PATIENCE

CHUNK = b"\x01" * MIB


@pytest.fixture(autouse=True)
def every_mebibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "EVERY", MIB)


def test_while_more_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, real = threading.Event(), os.fdatasync

    def sync(fd: int) -> None:
        real(fd)
        synced.set()

    def chunks() -> Iterator[bytes]:
        yield CHUNK
        yield CHUNK
        assert synced.wait(PATIENCE)
        yield CHUNK

    monkeypatch.setattr(os, "fdatasync", sync)
    part = tmp_path / "part"
    assert transfer._write(chunks(), part, None) == 3 * MIB
    assert part.read_bytes() == 3 * CHUNK


def test_what_was_lost_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the next sync would succeed."""
    asked = threading.Event()

    def sync(fd: int) -> None:
        asked.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def chunks() -> Iterator[bytes]:
        yield CHUNK
        yield CHUNK
        assert asked.wait(PATIENCE)

    monkeypatch.setattr(os, "fdatasync", sync)
    with pytest.raises(StorageError, match="Input/output error"):
        transfer._write(chunks(), tmp_path / "part", None)


def test_who_gives_up_does_not_wait_for_a_sync_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = threading.Event(), threading.Event()

    def sync(fd: int) -> None:
        asked.set()
        go.wait(PATIENCE)

    def chunks() -> Iterator[bytes]:
        yield CHUNK
        yield CHUNK
        assert asked.wait(PATIENCE)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fdatasync", sync)
    with pytest.raises(KeyboardInterrupt):
        transfer._write(chunks(), tmp_path / "part", None)
    assert not go.is_set()
    go.set()
