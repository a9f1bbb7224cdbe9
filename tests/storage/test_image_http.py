"""Servers that do not deliver: each way has its exit code and its words, and leaves nothing."""

import gzip
import hashlib
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest

from launcher.host.errors import ImageRefused, LauncherError, SourceUnavailable
from launcher.image.source import retry
from tests.storage import http_server
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Reply, Server
from tests.storage.ranged import Ranged, Times


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST", 0.0)


def failing(volume: Volume, source: str, **environ: str) -> LauncherError:
    """The error of a fetch that must leave nothing behind."""
    with pytest.raises(LauncherError) as caught:
        volume.ensure(source, **environ)
    assert volume.names() == []
    return caught.value


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "answered 404 Not Found (hint: the file is not there"),
        (403, "answered 403 Forbidden (hint: the server wants credentials"),
        (401, "answered 401 Unauthorized (hint: the server wants credentials"),
        (500, "answered 500 Internal Server Error (hint: the server has a problem"),
        (503, "answered 503 Service Unavailable (hint: the server has a problem"),
        (429, "answered 429 Too Many Requests (hint: the server wants fewer"),
        (408, "answered 408 Request Timeout"),
        (501, "answered 501 Not Implemented (hint: the server has a problem"),
        (505, "answered 505 HTTP Version Not Supported (hint: the server has a problem"),
        (206, "answered 206 Partial Content"),
        (204, "answered 204 No Content"),
        (599, "answered 599 (hint"),
    ],
)
def test_an_answer_that_is_no_image(
    volume: Volume, server: Server, images: Images, status: int, words: str
) -> None:
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), status))
    err = failing(volume, url)
    assert isinstance(err, SourceUnavailable)
    assert err.exit_code == 69
    assert f"IMG_SOURCE={url} {words}" in str(err)
    # Some servers mean the range when they forbid a request for one.
    asked = dict.fromkeys((408, 429, 500, 503, 599), retry.TRIES) | {403: 2, 501: 2}
    assert len(server.requests) == asked.get(status, 1)


def test_a_web_page_instead_of_an_image(volume: Volume, server: Server) -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>Moved</title></head></html>"
    err = failing(volume, server.serve("/disk.qcow2", page))
    assert isinstance(err, ImageRefused)
    assert err.exit_code == 65
    assert "is a web page instead of an image; it begins '<!DOCTYPE html> <html>" in str(err)


def test_a_web_page_is_told_even_where_the_checksum_is_wrong(
    volume: Volume, server: Server
) -> None:
    url = server.serve("/disk.qcow2", b"<html>gone")
    assert "web page" in str(failing(volume, url, IMG_CHECKSUM="sha256:" + "0" * 64))


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(cut=1_000_000), id="closed"),
        pytest.param(Reply(cut=1_000_000, reset=True), id="reset"),
        pytest.param(Reply(cut=1_000_000, chunked=True), id="chunked"),
        pytest.param(Reply(cut=0), id="nothing"),
        pytest.param(Reply(promised=99_999_999), id="more promised"),
    ],
)
def test_a_body_that_ends_too_soon(
    volume: Volume, server: Server, images: Images, reply: Reply
) -> None:
    body = images.qcow2.read_bytes()
    err = failing(volume, server.serve("/disk.qcow2", replace(reply, body=body)))
    assert isinstance(err, SourceUnavailable)
    assert "the transfer ended after" in str(err)


@pytest.mark.parametrize("encoding", ["gzip", "br", "x-unknown"])
def test_a_content_encoding_is_refused(
    volume: Volume, server: Server, images: Images, encoding: str
) -> None:
    reply = Reply(images.qcow2.read_bytes(), headers={"Content-Encoding": encoding})
    err = failing(volume, server.serve("/disk.qcow2", reply))
    assert isinstance(err, ImageRefused)
    assert "Content-Encoding" in str(err)
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_packed_file_may_be_called_encoded(
    volume: Volume, server: Server, images: Images
) -> None:
    """It is what some servers say of each .gz file; the bytes are those of the file."""
    packed = gzip.compress(images.qcow2.read_bytes())
    checksum = f"sha256:{hashlib.sha256(packed).hexdigest()}"
    reply = Reply(packed, headers={"Content-Encoding": "x-gzip"})
    url = server.serve("/disk.qcow2.gz", reply) + "?v=1"
    assert volume.ensure(url, IMG_CHECKSUM=checksum).digest == images.digest


def test_the_identity_encoding_is_none(volume: Volume, server: Server, images: Images) -> None:
    reply = Reply(images.qcow2.read_bytes(), headers={"Content-Encoding": "identity"})
    assert volume.ensure(server.serve("/disk.qcow2", reply)).path.is_file()


def test_redirects_are_followed(volume: Volume, server: Server, images: Images) -> None:
    server.serve("/there.qcow2", images.qcow2.read_bytes())
    server.serve("/on", Reply(status=307, headers={"Location": "/there.qcow2"}))
    url = server.serve("/disk.qcow2", Reply(status=302, headers={"Location": server.url("/on")}))
    base = volume.ensure(url)
    assert base.source == url
    assert server.paths() == ["/disk.qcow2", "/on", "/there.qcow2"]


def test_redirects_end(volume: Volume, server: Server) -> None:
    url = server.serve("/disk.qcow2", Reply(status=302, headers={"Location": "/disk.qcow2"}))
    err = failing(volume, url)
    assert isinstance(err, SourceUnavailable)
    assert "redirects more than 10 times" in str(err)
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("file:///etc/passwd", "neither http nor https"),
        ("ftp://127.0.0.1/disk", "neither http nor https"),
        ("http://[::1", "makes no sense"),
        (f"http://{'x' * 70}.invalid/disk", "makes no sense"),
    ],
)
def test_redirects_to_elsewhere(volume: Volume, server: Server, location: str, words: str) -> None:
    url = server.serve("/disk.qcow2", Reply(status=302, headers={"Location": location}))
    err = failing(volume, url)
    assert isinstance(err, SourceUnavailable)
    assert words in str(err)
    assert len(server.requests) == 1, "trying again would not help"


def test_an_error_after_a_redirect_names_both_places(volume: Volume, server: Server) -> None:
    url = server.serve("/disk.qcow2", Reply(status=302, headers={"Location": "/new?sig=x"}))
    err = failing(volume, url)
    assert f"IMG_SOURCE={url} (redirected to {server.url('/new')}?…) answered 404" in str(err)


def test_credentials_go_to_their_own_host_only(
    volume: Volume, server: Server, images: Images
) -> None:
    with http_server.running() as other:
        there = other.serve("/disk.qcow2", images.qcow2.read_bytes())
        server.serve("/disk.qcow2", Reply(status=302, headers={"Location": there}))
        volume.ensure(server.url("/disk.qcow2", user="me:geheim"))
        assert "Authorization" in server.requests[0].headers
        assert "Authorization" not in other.requests[0].headers


def test_no_cookie_is_kept(volume: Volume, server: Server, images: Images) -> None:
    """Another port of the same host may be somebody else's, and cookies know no ports."""
    cookie = {"Set-Cookie": "session=geheim; Path=/"}
    ranged = Ranged(images.qcow2.read_bytes(), spoil=Times(1, lambda _: Reply(status=503)))
    with http_server.running() as other:
        other.replies["/disk.qcow2"] = ranged
        there = other.url("/disk.qcow2")
        to = Reply(status=302, headers={"Location": there, **cookie}, keep=True)
        volume.ensure(server.serve("/disk.qcow2", to))
    requests = server.requests + other.requests
    assert [len(server.requests), len(other.requests)] == [2, 2]
    assert [each.headers["Cookie"] for each in requests if "Cookie" in each.headers] == []


def test_no_one_listens(volume: Volume) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        err = failing(volume, f"http://127.0.0.1:{unused.getsockname()[1]}/disk.qcow2")
    assert isinstance(err, SourceUnavailable)
    assert "connection refused" in str(err)


def test_a_name_that_does_not_resolve(volume: Volume, server: Server) -> None:
    err = failing(volume, "http://no-such-host.invalid/disk.qcow2")
    assert isinstance(err, SourceUnavailable)
    assert "its host name does not resolve" in str(err)


def test_a_server_that_says_nothing(
    volume: Volume, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "TRIES", 2)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/disk.qcow2"
        err = failing(volume, url, FETCH_STALL_TIMEOUT="1")
    assert time.monotonic() - started < 5
    assert isinstance(err, SourceUnavailable)
    assert "nothing came for 1 s" in str(err)


def test_a_server_that_stops_halfway(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ROUNDS", 2)
    hold = http_server.Hold()
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), hold=hold))
    err = failing(volume, url, FETCH_STALL_TIMEOUT="1")
    hold.go.set()
    assert isinstance(err, SourceUnavailable)
    assert "the transfer ended after" in str(err)
    assert "nothing came for" in str(err)


def test_no_answer_is_asked_for_again(volume: Volume, server: Server, images: Images) -> None:
    """A pod's proxies may come up later than its containers."""
    url = server.serve(
        "/disk.qcow2", Reply(silent=True), Reply(status=503), Reply(images.qcow2.read_bytes())
    )
    assert volume.ensure(url).path.is_file()
    assert len(server.requests) == 3


def test_asking_again_ends(volume: Volume, server: Server) -> None:
    err = failing(volume, server.serve("/disk.qcow2", Reply(silent=True)))
    assert isinstance(err, SourceUnavailable)
    assert "cannot be fetched" in str(err)
    assert len(server.requests) == retry.TRIES


def with_query(server: Server) -> str:
    return server.url("/disk.qcow2", user="me:geheim") + "?sig=heimlich"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda server: server.serve("/other", b""), id="404"),
        pytest.param(lambda server: server.serve("/disk.qcow2", b"<html>"), id="page"),
        pytest.param(
            lambda server: server.serve("/disk.qcow2", Reply(b"QFI\xfb", cut=1)), id="short"
        ),
        pytest.param(lambda server: server.serve("/disk.qcow2", Reply(silent=True)), id="silent"),
        pytest.param(
            lambda server: server.serve("/disk.qcow2", Reply(headers={"Bad Name ": "x\r\ny"})),
            id="bad headers",
        ),
        pytest.param(
            lambda server: server.serve(
                "/disk.qcow2", Reply(status=302, headers={"Location": with_query(server)})
            ),
            id="redirects",
        ),
        pytest.param(
            lambda server: server.serve(
                "/disk.qcow2",
                Reply(status=302, headers={"Location": "https://me:geheim@[::1/x?sig=heimlich"}),
            ),
            id="bad redirect",
        ),
        pytest.param(lambda server: setattr(server, "address", ("127.0.0.1", 1)), id="refused"),
    ],
)
def test_nothing_secret_is_shown(
    volume: Volume,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Server], object],
) -> None:
    caplog.set_level("DEBUG")
    spoil(server)
    err = failing(volume, with_query(server))
    # As a log with tracebacks would have it.
    told = "".join(traceback.format_exception(err)) + caplog.text
    assert "geheim" not in told
    assert "heimlich" not in told
    assert "IMG_SOURCE=http://127.0.0.1" in str(err)


def test_nothing_secret_is_kept(
    volume: Volume, server: Server, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server.serve("/disk.qcow2", images.qcow2.read_bytes())
    base = volume.ensure(with_query(server))
    assert server.paths() == ["/disk.qcow2?sig=heimlich"]
    kept = base.source + caplog.text + base.path.with_suffix(".json").read_text()
    assert "geheim" not in kept
    assert "heimlich" not in kept
    assert "/disk.qcow2?…" in base.source
