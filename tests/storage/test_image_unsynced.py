"""Disks that lose what was written, and say so once: it is neither listed as there, nor a base. And
those that are slow to say anything."""

import errno
import os
import threading
import time

import pytest

from launcher.host.errors import StorageError
from launcher.image.source import parts, retry
from tests.storage.conftest import Images, Volume
from tests.storage.ensuring import PATIENCE
from tests.storage.http_server import Reply, Server
from tests.storage.ranged import Ranged, Times

PART = 128 << 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", PART)
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EIO, "failed: Input/output error"), (errno.EDQUOT, "is full: .* were written")],
)
def test_a_sync_that_fails_ends_the_download(
    volume: Volume,
    server: Server,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
) -> None:
    """The kernel tells of it once: all later ones succeed, and the bytes are gone."""
    real, has_failed, is_over = os.fdatasync, threading.Event(), threading.Event()

    def fails_once(fd: int) -> None:
        if has_failed.is_set():
            return real(fd)
        has_failed.set()
        raise OSError(number, os.strerror(number))

    def rest(reply: Reply) -> Reply:
        """Comes only when the download is over."""
        return Reply(reply.body, reply.status, reply.headers, wait=lambda: is_over.wait(PATIENCE))

    monkeypatch.setattr(os, "fdatasync", fails_once)
    ranged = Ranged(images.qcow2.read_bytes())
    ranged.spoil = Times(99, rest, lambda first, end: first >= 4 * PART)
    server.replies["/disk.qcow2"] = ranged
    try:
        with pytest.raises(StorageError, match=words):
            volume.ensure(server.url("/disk.qcow2"), FETCH_STALL_TIMEOUT="5")
    finally:
        is_over.set()
    assert has_failed.is_set()
    assert volume.names() == [], "nothing of it is listed as there"


def test_a_sync_that_fails_at_the_end(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was there to be read, and to be hashed. That of the base then hears nothing of it."""
    real = os.fdatasync

    def fails_at_the_end(fd: int) -> None:
        if threading.current_thread() is threading.main_thread():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fails_at_the_end)
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    with pytest.raises(StorageError, match="failed: Input/output error"):
        volume.ensure(server.url("/disk.qcow2"))
    assert [each for each in volume.names() if not each.startswith("fetch-")] == []


def test_a_sync_that_never_ends_does_not_hold_up_the_download(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its end, where what is being written has to be closed."""
    body = images.qcow2.read_bytes()
    go = threading.Event()
    real = os.fdatasync

    def slow(fd: int) -> None:
        go.wait(30)
        real(fd)

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        if end == len(body):
            go.set()
        return reply

    monkeypatch.setattr(os, "fdatasync", slow)
    server.replies["/disk.qcow2"] = Ranged(body, spoil=spoil)
    started = time.monotonic()
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert time.monotonic() - started < 20
