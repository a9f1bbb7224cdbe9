"""Downloads by parallel ranges: what is asked for, and what becomes of answers that do not fit."""

import gzip
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from launcher.host.errors import SourceUnavailable
from launcher.image.source import parts, retry
from tests.storage.conftest import MIB, Images, Volume
from tests.storage.http_server import Hold, Reply, Server
from tests.storage.outcomes import disk, refusal
from tests.storage.ranged import Ranged, Times, Together, with_headers

PART = 128 << 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", PART)
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread outlives the fetch."""
    yield
    left = [each.name for each in threading.enumerate() if each.name.startswith(("fetch", "ahead"))]
    assert left == []


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


@pytest.mark.parametrize("status", [400, 403, 405, 416, 501])
def test_servers_that_refuse_a_range_are_asked_for_everything(
    volume: Volume, server: Server, body: bytes, status: int
) -> None:
    ranged = Ranged(body, spoil=lambda reply, first, end: Reply(b"no", status))
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked == [(0, PART), None]


def test_many_connections_for_an_image_as_it_is(
    volume: Volume, server: Server, body: bytes
) -> None:
    """None of the sixteen answers goes on before all of them are under way."""
    together = threading.Barrier(16)

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        # The first connections bring what tells that it is not packed.
        return reply if first < 3 * MIB else replace(reply, wait=together.wait)

    big = body + random.Random(1).randbytes(3 * MIB + 16 * PART - len(body))
    server.replies["/disk.qcow2"] = Ranged(big, spoil=spoil)
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == big
    assert server.most_at_once == 16


def test_no_more_than_that(volume: Volume, server: Server, body: bytes) -> None:
    """Sixteen answers wait for each other, and then for a seventeenth, in vain."""
    together = Together(16, lambda first, end: first >= 3 * MIB)
    big = body + random.Random(1).randbytes(3 * MIB + 40 * PART - len(body))
    server.replies["/disk.qcow2"] = Ranged(big, spoil=together)
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == big
    assert together.came
    assert not together.is_joined


def test_few_connections_for_a_packed_one(volume: Volume, server: Server, body: bytes) -> None:
    """Four answers wait for each other, and then for a fifth, in vain."""
    together = Together(4)
    server.replies["/disk.gz"] = Ranged(gzip.compress(body), spoil=together)
    assert volume.ensure(server.url("/disk.gz")).path.read_bytes() == body
    assert together.came
    assert not together.is_joined


def test_connections_are_used_again(volume: Volume, server: Server, body: bytes) -> None:
    spoil = Times(99, lambda reply: replace(reply, keep=True))
    server.replies["/disk.qcow2"] = Ranged(body, spoil=spoil)
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert server.connections <= 16 < len(server.requests)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda reply: replace(reply, cut=1000), id="closed"),
        pytest.param(lambda reply: replace(reply, cut=1000, reset=True), id="reset"),
        pytest.param(lambda reply: Reply(silent=True), id="silent"),
        pytest.param(lambda reply: Reply(status=503), id="503"),
        pytest.param(lambda reply: Reply(status=429, headers={"Retry-After": "0"}), id="429"),
    ],
)
def test_a_part_that_fails_is_asked_for_again(
    volume: Volume, server: Server, body: bytes, spoilt: Callable[[Reply], Reply]
) -> None:
    ranged = Ranged(body, spoil=Times(6, spoilt, lambda first, end: first >= PART))
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert len(ranged.asked) == len(whole(len(body))) + 6


def test_only_the_rest_of_a_part_is_asked_for_again(
    volume: Volume, server: Server, body: bytes
) -> None:
    """Also where a connection never lasts longer: what counts is that something comes."""
    half = PART // 2
    spoil = Times(99, lambda reply: replace(reply, cut=half), lambda first, end: end - first > half)
    ranged = Ranged(body, spoil=spoil)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert (half, PART) in ranged.asked
    assert server.sent == len(body)


def test_a_connection_that_stalls_is_made_again(
    volume: Volume, server: Server, body: bytes
) -> None:
    hold = Hold()
    server.replies["/disk.qcow2"] = Ranged(
        body,
        spoil=Times(1, lambda reply: replace(reply, hold=hold), lambda first, end: first == PART),
    )
    base = volume.ensure(server.url("/disk.qcow2"), FETCH_STALL_TIMEOUT="1")
    assert base.path.read_bytes() == body
    hold.go.set()


def test_what_never_comes_is_given_up(volume: Volume, server: Server, body: bytes) -> None:
    """What did come is kept."""
    last = len(body) - len(body) % PART
    spoil = Times(99, lambda reply: Reply(silent=True), lambda first, end: first >= last)
    server.replies["/disk.qcow2"] = Ranged(body, spoil=spoil)
    url = server.url("/disk.qcow2")
    with pytest.raises(SourceUnavailable) as caught:
        volume.ensure(url)
    assert f"IMG_SOURCE={url}: the transfer ended after {last} of {len(body)} bytes" in str(
        caught.value
    )
    assert "5 times in a row" in str(caught.value)
    assert "what came is kept" in str(caught.value)
    assert [each.partition(".")[2] for each in volume.names()] == ["json", "part"]


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        pytest.param(
            lambda reply: with_headers(reply, ETag='"two"'), "its ETag is another", id="etag"
        ),
        pytest.param(
            lambda reply: with_headers(
                reply, Content_Range=f"bytes {PART}-{2 * PART - 1}/999999999"
            ),
            "it has 999999999 bytes and had",
            id="length",
        ),
        pytest.param(lambda reply: Reply(b"new", headers={}), "is no longer what", id="200"),
        pytest.param(lambda reply: Reply(status=416), "is no longer what", id="416"),
    ],
)
def test_what_changes_meanwhile_begins_anew(
    volume: Volume,
    server: Server,
    body: bytes,
    spoilt: Callable[[Reply], Reply],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ranged = Ranged(body, spoil=Times(1, spoilt, lambda first, end: first == PART))
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked.count((0, PART)) == 2
    assert words in caplog.text


def test_a_file_that_is_replaced_meanwhile(volume: Volume, server: Server, body: bytes) -> None:
    """Nothing of the old one gets into the new one, though both have the same length."""
    ranged = Ranged(bytes(len(body)))
    ranged.body = body[: 4 * PART] + b"old!" * (len(body) // 4 - PART)
    ranged.body = ranged.body[: len(body)].ljust(len(body), b"o")

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        if first == 8 * PART and ranged.etag == '"one"':
            ranged.body, ranged.etag = body, '"two"'
        return reply

    ranged.spoil = spoil
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body


def test_what_changes_each_time_comes_in_one_stream(
    volume: Volume, server: Server, body: bytes
) -> None:
    """So it seems, where several servers with ETags of their own have one name."""
    spoil = Times(
        99, lambda reply: with_headers(reply, ETag='"two"'), lambda first, end: first == PART
    )
    ranged = Ranged(body, spoil=spoil)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked.count((0, PART)) == retry.ROUNDS - 1
    assert ranged.asked.count(None) == 1
    assert [each for each in volume.names() if each.startswith("fetch")] == []


def test_a_server_that_sends_other_bytes_than_asked_for(
    volume: Volume, server: Server, body: bytes
) -> None:
    """It says so, at least. One stream is all that it can be trusted with."""
    lie = f"bytes 0-{PART - 1}/{len(body)}"
    spoil = Times(99, lambda reply: with_headers(reply, Content_Range=lie))
    ranged = Ranged(body, spoil=spoil)
    server.replies["/disk.qcow2"] = ranged
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == body
    assert ranged.asked[-1] is None


def test_parts_come_from_where_redirects_end(volume: Volume, server: Server, body: bytes) -> None:
    """Mirrors may differ. A signed address expires, and then the first one leads to another."""
    expired = Times(1, lambda reply: Reply(status=403), lambda first, end: first == 8 * PART)
    server.replies["/a"] = Ranged(body, spoil=expired)
    server.replies["/b"] = Ranged(body)
    to = [Reply(status=302, headers={"Location": f"/{name}"}) for name in "ab"]
    assert volume.ensure(server.serve("/disk.qcow2", *to)).path.read_bytes() == body
    paths = server.paths()
    assert paths.count("/disk.qcow2") == 2
    assert paths.count("/a") + paths.count("/b") == len(whole(len(body))) + 1
    assert paths.count("/b") > 0


def test_a_part_that_is_refused_ends_it(volume: Volume, server: Server, body: bytes) -> None:
    gone = Times(99, lambda reply: Reply(status=404), lambda first, end: first >= PART)
    server.replies["/disk.qcow2"] = Ranged(body, spoil=gone)
    with pytest.raises(SourceUnavailable, match="answered 404 Not Found"):
        volume.ensure(server.url("/disk.qcow2"))


def test_a_part_that_is_packed_is_refused(volume: Volume, server: Server, body: bytes) -> None:
    """By what stands before the server, say: its bytes would pass for those of the file."""

    def pack(reply: Reply) -> Reply:
        return replace(with_headers(reply, Content_Encoding="gzip"), body=gzip.compress(reply.body))

    spoil = Times(1, pack, lambda first, end: first == 8 * PART)
    server.replies["/disk.qcow2"] = Ranged(body, spoil=spoil)
    assert "came with a Content-Encoding" in refusal(volume, server.url("/disk.qcow2"))
    assert volume.names() == []


def test_it_may_not_take_for_ever(volume: Volume, server: Server, body: bytes) -> None:
    hold = Hold()
    spoil = Times(99, lambda reply: replace(reply, hold=hold), lambda first, end: first >= PART)
    server.replies["/disk.qcow2"] = Ranged(body, spoil=spoil)
    with pytest.raises(SourceUnavailable, match=r"is not here after 1 s: .* of .* came") as caught:
        volume.ensure(server.url("/disk.qcow2"), FETCH_TIMEOUT="1")
    assert "FETCH_TIMEOUT" in str(caught.value)
    assert "they are kept" in str(caught.value)
    assert len(volume.names()) == 2
    hold.go.set()


def test_one_stream_may_not_take_for_ever_either(
    volume: Volume, server: Server, body: bytes
) -> None:
    url = server.serve("/disk.qcow2", Reply(body, speed=MIB))
    with pytest.raises(SourceUnavailable, match=r"is not here after 1 s.*nothing was kept"):
        volume.ensure(url, FETCH_TIMEOUT="1")
    assert volume.names() == []


def test_a_raw_image_is_converted_from_where_it_arrived(
    volume: Volume, server: Server, images: Images
) -> None:
    raw = images.raw.read_bytes()
    server.replies["/disk.img"] = Ranged(raw)
    base = volume.ensure(server.url("/disk.img"))
    assert disk(base.path) == raw
    assert [each for each in volume.names() if each.startswith("fetch")] == []


def test_zeros_become_holes(volume: Volume, server: Server, images: Images) -> None:
    raw = images.raw.read_bytes() + bytes(32 * MIB)
    blocks = []

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        blocks.append(max(each.stat().st_blocks for each in volume.path.glob("*.part")))
        return reply

    server.replies["/disk.img"] = Ranged(raw, spoil=spoil)
    volume.ensure(server.url("/disk.img"))
    assert max(blocks) * 512 < 8 * MIB


def test_nothing_of_a_refused_image_stays(volume: Volume, server: Server, body: bytes) -> None:
    server.replies["/disk.qcow2"] = Ranged(body)
    url = server.url("/disk.qcow2")
    assert "wrong checksum" in refusal(volume, url, IMG_CHECKSUM="sha256:" + "0" * 64)
    server.replies["/disk.qcow2"] = Ranged(b"<html>" + body)
    assert "a web page" in refusal(volume, url)
    server.replies["/disk.qcow2"] = Ranged(gzip.compress(body)[:-9])
    assert "packing ends too soon" in refusal(volume, url)


def test_a_refusal_does_not_wait_for_connections(
    volume: Volume, server: Server, body: bytes
) -> None:
    """Not for one that sends nothing, nor for one that does not even answer."""
    hold, answer = Hold(), threading.Event()

    def spoil(reply: Reply, first: int, end: int) -> Reply:
        if first == 2 * MIB:
            return replace(reply, hold=hold)
        return replace(reply, late=lambda: answer.wait(30)) if first > 2 * MIB else reply

    server.replies["/disk"] = Ranged(b"no image" + bytes(4 * MIB), spoil=spoil)
    started = time.monotonic()
    try:
        refusal(volume, server.url("/disk"))
        assert time.monotonic() - started < 10
    finally:
        hold.go.set()
        answer.set()
