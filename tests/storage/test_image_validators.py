"""What says that parts are of the same bytes, and what says that they are not."""

import time
from email.utils import formatdate

import pytest

from launcher.image.source import parts, retry
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Server
from tests.storage.ranged import OLD, Ranged, Times, with_headers

PART = 128 << 10
NEWER = "Wed, 01 Jan 2025 00:00:01 GMT"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", PART)
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture
def body(images: Images) -> bytes:
    return images.qcow2.read_bytes()


def test_an_old_date_pins_as_well_as_an_etag(volume: Volume, server: Server, body: bytes) -> None:
    ranged = Ranged(body, etag=None, modified=OLD)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert sorted(filter(None, ranged.asked)) == [
        (first, min(first + PART, len(body))) for first in range(0, len(body), PART)
    ]
    assert server.requests[-1].headers["If-Range"] == OLD


@pytest.mark.parametrize(
    ("etag", "modified"), [('W/"one"', None), (None, None), ('W/"1"', OLD), (None, "yesterday")]
)
def test_without_a_strong_validator_there_is_one_stream(
    volume: Volume, server: Server, body: bytes, etag: str | None, modified: str | None
) -> None:
    ranged = Ranged(body, etag, modified)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked == [(0, PART), None]


@pytest.mark.parametrize(("age", "asked"), [(30, [(0, PART), None]), (120, None)])
def test_a_date_is_one_when_it_is_settled(
    volume: Volume,
    server: Server,
    body: bytes,
    age: float,
    asked: list[tuple[int, int] | None] | None,
) -> None:
    """Until then the file may change and keep it."""
    ranged = Ranged(body, etag=None, modified=formatdate(time.time() - age, usegmt=True))
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked == asked if asked else None not in ranged.asked


def test_a_part_with_a_newer_date_begins_anew(
    volume: Volume, server: Server, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    newer = Times(
        1,
        lambda reply: with_headers(reply, Last_Modified=NEWER),
        lambda first, end: first == 8 * PART,
    )
    ranged = Ranged(body, etag=None, modified=OLD, spoil=newer)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked.count((0, PART)) == 2
    assert "changed while it was fetched: its Last-Modified is another one" in caplog.text
