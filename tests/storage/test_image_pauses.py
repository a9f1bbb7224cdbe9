"""What is asked for again is asked for later, each time: as the server sees it.

There are three places where somebody waits: for the first answer, for a part, and for another go at
all of it.
"""

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

from launcher.image.source import anew, download, http, parts, retry
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Reply, Request, Server
from tests.storage.ranged import Ranged, Times

# Seconds: what lots may make of the first pause, at the most. Each lot is that.
FIRST = 0.1

PART = 128 << 10
NOT_NOW = Reply(status=503)
TOO_MANY = Reply(status=429, headers={"Retry-After": "1"})


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST", FIRST)
    for place in (http, download, anew):
        monkeypatch.setattr(place, "chance", lambda: 1.0)


def assert_later(requests: Sequence[Request], *least: float) -> None:
    """Between two requests, there was that much time at the least."""
    gaps = [later.at - each.at for each, later in pairwise(requests)]
    assert len(gaps) == len(least), gaps
    assert all(gap >= pause for gap, pause in zip(gaps, least, strict=True)), gaps


def test_first_answer(volume: Volume, server: Server, images: Images) -> None:
    replies = (NOT_NOW, Reply(silent=True), NOT_NOW, Reply(images.qcow2.read_bytes()))
    volume.ensure(server.serve("/disk.qcow2", *replies))
    assert_later(server.requests, FIRST, 2 * FIRST, 4 * FIRST)


def test_first_answer_where_the_server_says_when(
    volume: Volume, server: Server, images: Images
) -> None:
    volume.ensure(server.serve("/disk.qcow2", TOO_MANY, Reply(images.qcow2.read_bytes())))
    assert_later(server.requests, 1 + FIRST)


def of_a_part(
    volume: Volume,
    server: Server,
    images: Images,
    monkeypatch: pytest.MonkeyPatch,
    *failures: Reply,
) -> list[Request]:
    """All requests for the second part, to which `failures` are the first answers."""
    # Of several connections, another one would take the part that one of them waits with.
    monkeypatch.setattr(download, "FEW", 1)
    monkeypatch.setattr(download, "MANY", 1)
    monkeypatch.setattr(parts, "PART", PART)
    left = list(failures)
    spoil = Times(len(left), lambda _: left.pop(0), lambda first, end: first == PART)
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes(), spoil=spoil)
    assert volume.ensure(server.url("/disk.qcow2")).digest == images.digest
    assert not left
    wanted = f"bytes={PART}-"
    return [each for each in server.requests if each.headers.get("Range", "").startswith(wanted)]


def test_part(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = (NOT_NOW, Reply(silent=True), NOT_NOW)
    asked = of_a_part(volume, server, images, monkeypatch, *failures)
    assert_later(asked, FIRST, 2 * FIRST, 4 * FIRST)


def test_part_where_the_server_says_when(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_later(of_a_part(volume, server, images, monkeypatch, TOO_MANY), 1 + FIRST)


def test_all_of_it(volume: Volume, server: Server, images: Images) -> None:
    body = images.qcow2.read_bytes()
    cut = Reply(body, cut=1000)
    volume.ensure(server.serve("/disk.qcow2", cut, cut, Reply(body)))
    assert_later(server.requests, FIRST, 2 * FIRST)


def test_all_of_a_pause_is_by_lot(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each of the three places: with luck there is none."""
    monkeypatch.setattr(retry, "FIRST", retry.MOST)
    for place in (http, download, anew):
        monkeypatch.setattr(place, "chance", lambda: 0.0)
    body = images.qcow2.read_bytes()
    started = time.monotonic()
    volume.ensure(server.serve("/first.qcow2", NOT_NOW, Reply(body)))
    of_a_part(volume, server, images, monkeypatch, NOT_NOW)
    volume.ensure(server.serve("/all.qcow2", Reply(body, cut=1000), Reply(body)))
    assert time.monotonic() - started < retry.MOST
