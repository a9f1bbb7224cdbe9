"""FETCH_TIMEOUT, whatever the server does, and however many requests it takes."""

import threading
import time
from collections.abc import Iterator
from typing import Literal

import pytest

from launcher.host.errors import SourceUnavailable
from launcher.image.source import anew, http, parts, retry
from tests.storage.conftest import Images, Volume
from tests.storage.drip import DROP, DROPS
from tests.storage.http_server import Reply, Server
from tests.storage.ranged import Ranged
from tests.storage.tls import Certificate

# Seconds, of a limit of one: long before what drips is there.
SOON = DROP * DROPS - 1


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread outlives the fetch, and no timer."""
    yield
    left = [each.name for each in threading.enumerate() if each.name.startswith(("fetch", "ahead"))]
    assert left == []


@pytest.mark.parametrize(
    ("drips", "came"),
    [("headers", "no answer came"), ("body", r"\d+ bytes came \(.*nothing was kept")],
)
def test_a_byte_now_and_then_is_not_enough(
    volume: Volume, server: Server, images: Images, drips: Literal["headers", "body"], came: str
) -> None:
    """No socket's timeout sees that."""
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), drips=drips))
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=f"is not here after 1 s: {came}") as caught:
        volume.ensure(url, FETCH_TIMEOUT="1")
    assert time.monotonic() - started < SOON
    assert "FETCH_TIMEOUT says how long" in str(caught.value)
    assert len(server.requests) == 1
    assert volume.names() == []


@pytest.mark.usefixtures("trusted")
def test_nor_is_it_where_the_bytes_are_encrypted(
    volume: Volume, images: Images, certificate: Certificate
) -> None:
    started = time.monotonic()
    with certificate.server() as secure:
        url = secure.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), drips="body"))
        with pytest.raises(SourceUnavailable, match="is not here after 1 s"):
            volume.ensure(url, FETCH_TIMEOUT="1")
    assert time.monotonic() - started < SOON


def test_a_body_without_a_length_is_not_taken_for_whole(
    volume: Volume, server: Server, images: Images
) -> None:
    """The end of the time looks like the end of such a body, and this much is an image."""
    raw = images.raw.read_bytes()[: 1 << 20]
    url = server.serve("/disk.img", Reply(raw, promised=None, wait=threading.Event().wait))
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="is not here after 1 s"):
        volume.ensure(url, FETCH_TIMEOUT="1", FETCH_STALL_TIMEOUT="30")
    assert time.monotonic() - started < SOON
    assert volume.names() == []


def test_parts_that_drip(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART", 128 << 10)

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        drips: Literal["headers", "body"] = "headers" if first % (256 << 10) else "body"
        return Reply(reply.body, reply.status, reply.headers, drips=drips)

    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes(), spoil=spoil)
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="is not here after 1 s"):
        volume.ensure(server.url("/disk.qcow2"), FETCH_TIMEOUT="1")
    assert time.monotonic() - started < SOON


def test_bytes_that_drip_are_no_stall(volume: Volume, server: Server, images: Images) -> None:
    """What counts is the time between two of them."""
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), drips="body"))
    assert volume.ensure(url, FETCH_STALL_TIMEOUT="1").digest == images.digest
    assert len(server.requests) == 1


def test_the_list_of_checksums_takes_of_the_same_time(
    volume: Volume, server: Server, images: Images
) -> None:
    def wait() -> None:
        time.sleep(1.2)

    line = f"{images.digest}  disk.qcow2\n".encode()
    sums = server.serve("/SHA256SUMS", Reply(line, wait=wait))
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), wait=wait))
    with pytest.raises(SourceUnavailable, match=r"IMG_SOURCE=.* is not here after 2 s"):
        volume.ensure(url, IMG_CHECKSUM=sums, FETCH_TIMEOUT="2")
    assert server.paths() == ["/SHA256SUMS", "/disk.qcow2"]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Those that were made, in seconds; nobody sleeps."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    for place in (anew, http):
        monkeypatch.setattr(place, "chance", lambda: 1.0)
    return made


@pytest.mark.parametrize(("limit", "made"), [("29", []), ("60", [30.0, 30.0])])
def test_there_is_no_pause_beyond_it(
    volume: Volume,
    server: Server,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
    limit: str,
    made: list[float],
) -> None:
    """What went wrong is said instead."""
    monkeypatch.setattr(retry, "FIRST", 30.0)
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), cut=1000))
    with pytest.raises(SourceUnavailable, match="the transfer ended after 1000 of"):
        volume.ensure(url, FETCH_TIMEOUT=limit)
    assert pauses == made
    assert len(server.requests) == len(made) + 1


@pytest.mark.parametrize(("limit", "made"), [("29", []), ("60", [30.0])])
def test_nor_where_the_server_asks_for_it(
    volume: Volume,
    server: Server,
    images: Images,
    pauses: list[float],
    limit: str,
    made: list[float],
) -> None:
    later = Reply(status=503, headers={"Retry-After": "30"})
    url = server.serve("/disk.qcow2", later, Reply(status=404))
    said = "answered 404" if made else "answered 503 Service Unavailable"
    with pytest.raises(SourceUnavailable, match=said):
        volume.ensure(url, FETCH_TIMEOUT=limit)
    assert pauses == made
    assert len(server.requests) == len(made) + 1
