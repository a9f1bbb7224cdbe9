"""https: whom we trust, and what is said when something is wrong with it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.host.errors import InputMissing, SourceUnavailable
from launcher.image.source import parts, retry
from tests.storage import http_server
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Reply, Server
from tests.storage.ranged import Ranged, Times
from tests.storage.test_image_http import failing
from tests.storage.tls import Certificate


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 1 << 20)
    monkeypatch.setattr(retry, "FIRST", 0.0)


def test_https_with_an_authority_of_ones_own(
    volume: Volume,
    server: Server,
    images: Images,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with certificate.server() as secure:
        url = secure.serve("/disk.qcow2", images.qcow2.read_bytes())
        err = failing(volume, url)
        assert isinstance(err, SourceUnavailable)
        assert "its certificate is not trusted" in str(err)
        assert "REQUESTS_CA_BUNDLE" in str(err)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
        assert volume.ensure(url).path.is_file()


def test_https_that_ends_in_http_is_said(
    volume: Volume,
    server: Server,
    images: Images,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))
    there = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    with certificate.server() as secure:
        volume.ensure(secure.serve("/d.qcow2", Reply(status=301, headers={"Location": there})))
    assert "the last part of the way is not encrypted" in caplog.text


def test_https_to_what_does_not_speak_it(volume: Volume, server: Server) -> None:
    url = server.serve("/disk.qcow2", b"").replace("http:", "https:")
    err = failing(volume, url)
    assert isinstance(err, SourceUnavailable)
    assert "TLS failed" in str(err)


@pytest.mark.usefixtures("trusted")
def test_a_drop_in_the_handshake_is_tried_again(
    volume: Volume, images: Images, certificate: Certificate
) -> None:
    """As any other: a load balancer whose server restarts does that."""
    with certificate.server() as secure:
        url = secure.serve("/disk.qcow2", images.qcow2.read_bytes())
        secure.drop_handshakes = 2
        assert volume.ensure(url).digest == images.digest
        secure.drop_handshakes = retry.TRIES
        err = failing_again(volume, f"{url}?again")
        assert "cannot be fetched: the server closed the connection" in str(err)
        assert secure.drop_handshakes == 0


def failing_again(volume: Volume, source: str) -> SourceUnavailable:
    """Like `failing`, where something is there already."""
    with pytest.raises(SourceUnavailable) as caught:
        volume.ensure(source)
    return caught.value


@pytest.mark.usefixtures("trusted")
def test_ranges(volume: Volume, images: Images, certificate: Certificate) -> None:
    """Also where a connection ends within a part, and the next one in its handshake."""
    with certificate.server() as secure:

        def cut(reply: Reply) -> Reply:
            secure.drop_handshakes = 1
            return Reply(reply.body, reply.status, reply.headers, cut=1000)

        spoil = Times(2, cut, lambda first, end: first >= parts.PART)
        secure.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes(), spoil=spoil)
        assert volume.ensure(secure.url("/disk.qcow2")).digest == images.digest
        assert all("Range" in each.headers for each in secure.requests)
        assert len(secure.requests) >= 5


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file"),
        ("no PEM", "has no certificate in it"),
        ("", "has no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "has no certificate in"),
    ],
)
def test_authorities_that_cannot_be_read(
    volume: Volume,
    server: Server,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str | None,
    words: str,
) -> None:
    path = tmp_path / "ca.crt"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv(name, str(path))
    with certificate.server() as secure:
        err = failing(volume, secure.url("/disk.qcow2"))
        assert secure.connections == 0
    assert isinstance(err, InputMissing)
    assert f"{name}={str(path)!r} {words}" in str(err)


def test_a_folder_of_authorities(
    volume: Volume,
    server: Server,
    images: Images,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the hash of their names, as OpenSSL has it."""
    shutil.copy(certificate.path, tmp_path / "ca.pem")
    subprocess.run(["openssl", "rehash", tmp_path], check=True, capture_output=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with certificate.server() as secure:
        url = secure.serve("/disk.qcow2", images.qcow2.read_bytes())
        assert volume.ensure(url).digest == images.digest


@pytest.mark.usefixtures("trusted")
def test_an_address_of_ipv6(volume: Volume, images: Images, certificate: Certificate) -> None:
    with http_server.running(certificate.context(), host="::1") as secure:
        secure.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
        url = secure.url("/disk.qcow2")
        assert url.startswith("https://[::1]:")
        assert volume.ensure(url).digest == images.digest
        assert {each.headers["Host"] for each in secure.requests} == {f"[::1]:{secure.address[1]}"}
