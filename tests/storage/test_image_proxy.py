"""Proxies: by HTTP_PROXY for http, by HTTPS_PROXY and CONNECT for https."""

from collections.abc import Iterator

import pytest

from launcher.host.errors import SourceUnavailable
from launcher.image.source import parts, retry
from tests.storage import http_server
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Reply, Request, Server
from tests.storage.ranged import Ranged
from tests.storage.test_image_credentials import basic, seen
from tests.storage.test_image_http import failing
from tests.storage.tls import Certificate


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 1 << 20)
    monkeypatch.setattr(retry, "FIRST", 0.0)


def test_a_proxy_is_used(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url(""))
    server.serve("http://images.invalid/disk.qcow2", images.qcow2.read_bytes())
    assert volume.ensure("http://images.invalid/disk.qcow2").path.is_file()


def test_a_proxy_that_is_not_there(
    volume: Volume, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:geheim@127.0.0.1:1")
    err = failing(volume, "http://images.invalid/disk.qcow2")
    assert isinstance(err, SourceUnavailable)
    assert "the proxy that HTTPS_PROXY or HTTP_PROXY names cannot be used" in str(err)
    assert "geheim" not in str(err)


def test_ranges_by_a_proxy(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url(""))
    ranged = Ranged(images.qcow2.read_bytes())
    server.replies["http://images.invalid/disk.qcow2"] = ranged
    assert volume.ensure("http://images.invalid/disk.qcow2").digest == images.digest
    assert len(ranged.asked) == 4
    assert None not in ranged.asked


def test_no_proxy_names_what_is_reached_without_it(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leads to may need the proxy, though."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    there = "http://images.invalid/disk.qcow2"
    url = server.serve("/disk.qcow2", Reply(status=302, headers={"Location": there}))
    with http_server.running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        proxy.serve(there, images.qcow2.read_bytes())
        assert volume.ensure(url).digest == images.digest
        assert set(server.paths()) == {"/disk.qcow2"}
        assert set(proxy.paths()) == {there}


@pytest.fixture
def secure(trusted: None, certificate: Certificate) -> Iterator[Server]:
    with certificate.server() as running:
        yield running


@pytest.fixture
def proxy(secure: Server, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One for https, which takes all names for that of `secure`."""
    monkeypatch.setenv("HTTPS_PROXY", server.url("", user="me:geh%2Feim"))
    server.behind = secure.address
    return server


PLACE = "images.invalid:443"
URL = "https://images.invalid/disk.qcow2"


def authorized(request: Request) -> Reply:
    is_right = request.headers.get("Proxy-Authorization") == basic("me:geh/eim")
    return Reply(status=200 if is_right else 407)


def test_https_goes_through_a_tunnel(
    volume: Volume, secure: Server, proxy: Server, images: Images
) -> None:
    """In ranges. The proxy is told its password, and the server is not."""
    proxy.replies[PLACE] = authorized
    ranged = Ranged(images.qcow2.read_bytes())
    secure.replies["/disk.qcow2"] = ranged
    assert volume.ensure(URL).digest == images.digest
    assert set(proxy.paths()) == {PLACE}
    assert len(ranged.asked) == 4
    assert seen(secure, "Proxy-Authorization") == seen(secure, "Authorization") == {None}


def test_http_has_credentials_for_its_proxy_as_well(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url("", user="me:geh%2Feim"))
    server.serve("http://images.invalid/disk.qcow2", images.qcow2.read_bytes())
    volume.ensure("http://images.invalid/disk.qcow2")
    assert seen(server, "Proxy-Authorization") == {basic("me:geh/eim")}


@pytest.mark.parametrize(
    ("status", "words", "tries"),
    [
        (407, "answered 407 Proxy Authentication Required (hint: the proxy wants credent", 1),
        (403, "answered 403 Forbidden (hint: ", 1),
        (502, "answered 502 Bad Gateway (hint: ", retry.TRIES),
    ],
)
def test_a_proxy_that_makes_no_tunnel(
    volume: Volume, proxy: Server, status: int, words: str, tries: int
) -> None:
    proxy.replies[PLACE] = Reply(status=status)
    err = failing(volume, URL)
    assert isinstance(err, SourceUnavailable)
    assert f"cannot be fetched: the proxy that HTTPS_PROXY names {words}" in str(err)
    assert "geh" not in str(err)
    assert len(proxy.requests) == tries


def test_a_proxy_that_wants_credentials(
    volume: Volume, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url(""))
    server.serve("http://images.invalid/disk.qcow2", Reply(status=407))
    err = failing(volume, "http://images.invalid/disk.qcow2")
    assert "answered 407 Proxy Authentication Required (hint: the proxy wants credentials" in str(
        err
    )
    assert len(server.requests) == 1
