"""Downloads by parallel ranges: what is asked for, and what becomes of answers that do not fit."""

import gzip
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from launcher.host.errors import SourceUnavailable
from launcher.image.source import parts, retry
from tests.storage.conftest import MIB, Images, Volume
from tests.storage.http_server import Reply, Server
from tests.storage.outcomes import disk
from tests.storage.ranged import OLD, Ranged, Times, with_headers

PART = 128 << 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", PART)
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Neither threads nor open files."""
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield
    # Those of the test's own server end by themselves.
    left = [each.name for each in threading.enumerate() if each.name.startswith(("fetch", "ahead"))]
    assert left == [], threads
    assert files


@pytest.fixture
def body(images: Images) -> bytes:
    return images.qcow2.read_bytes()


def ranges(ranged: Ranged) -> list[tuple[int, int]]:
    """What was asked for, without the requests for everything."""
    return [each for each in ranged.asked if each is not None]


def whole(size: int) -> list[tuple[int, int]]:
    return [(first, min(first + PART, size)) for first in range(0, size, PART)]


def test_each_part_is_asked_for_once(volume: Volume, server: Server, body: bytes) -> None:
    ranged = Ranged(body)
    server.replies["/disk.qcow2"] = ranged
    base = volume.ensure(server.url("/disk.qcow2"))
    assert base.path.read_bytes() == body
    assert base.path.stat().st_mode & 0o777 == 0o444
    assert base.path.stat().st_nlink == 1
    assert sorted(ranges(ranged)) == whole(len(body))
    assert volume.names() == ["disk.qcow2", f"sha256-{base.digest}.json", base.path.name]
    first, *others = server.requests
    assert first.headers["Range"] == f"bytes=0-{PART - 1}"
    assert "If-Range" not in first.headers
    assert {each.headers["If-Range"] for each in others} == {'"one"'}
    assert {each.headers["Accept-Encoding"] for each in server.requests} == {"identity"}


def test_an_old_date_pins_as_well_as_an_etag(volume: Volume, server: Server, body: bytes) -> None:
    ranged = Ranged(body, etag=None, modified=OLD)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert sorted(ranges(ranged)) == whole(len(body))
    assert server.requests[-1].headers["If-Range"] == OLD


@pytest.mark.parametrize("validators", [{"etag": 'W/"one"'}, {"etag": None}, {"etag": 'W/"1"', "modified": OLD}])
def test_without_a_strong_validator_there_is_one_stream(
    volume: Volume, server: Server, body: bytes, validators: dict[str, str | None]
) -> None:
    ranged = Ranged(body, **validators)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked == [(0, PART), None]


@pytest.mark.parametrize("status", [400, 403, 405, 416, 501])
def test_servers_that_refuse_a_range_are_asked_for_everything(
    volume: Volume, server: Server, body: bytes, status: int
) -> None:
    ranged = Ranged(body, spoil=lambda reply, first, end: Reply(b"no", status))
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked == [(0, PART), None]


@pytest.mark.parametrize("count", [4, 16])
def test_connections_work_at_the_same_time(
    volume: Volume, server: Server, body: bytes, count: int
) -> None:
    """As many as there can be for an image as it is; for a packed one as many as are of use."""
    data = body if count == 16 else gzip.compress(body)
    together = threading.Barrier(count)

    def wait() -> None:
        try:
            together.wait(10 if count == 16 else 0.5)
        except threading.BrokenBarrierError:
            return

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        return reply if first < 2 * MIB + 4 * PART and count == 16 else replace(reply, wait=wait)

    big = body + random.Random(1).randbytes(8 * MIB) if count == 16 else data
    server.replies["/disk"] = Ranged(big, spoil=spoil)
    base = volume.ensure(server.url("/disk"))
    assert disk(base.path)
    assert server.most_at_once == count
