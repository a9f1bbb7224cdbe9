"""Passwords of a netrc file: who gets which, and who gets none."""

from pathlib import Path

import pytest

from launcher.image.source import retry
from tests.storage import http_server
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Reply, Server
from tests.storage.test_image_credentials import basic, seen
from tests.storage.tls import Certificate


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture(params=["setting", "environment"])
def netrc(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Settings for a file with an entry for 127.0.0.1, and one for everybody else."""
    path = tmp_path / "netrc"
    path.write_text("machine 127.0.0.1 login me password so\ndefault login all password da\n")
    if request.param == "setting":
        return {"IMG_NETRC_FILE": str(path)}
    monkeypatch.setenv("NETRC", str(path))
    return {}


def to(url: str) -> Reply:
    return Reply(status=302, headers={"Location": url})


def by_name(url: str) -> str:
    """The same place for connections, and another host as far as secrets go."""
    return url.replace("127.0.0.1", "localhost")


def test_the_default_is_for_the_source(
    volume: Volume, server: Server, images: Images, netrc: dict[str, str]
) -> None:
    url = by_name(server.serve("/disk.qcow2", images.qcow2.read_bytes()))
    volume.ensure(url, **netrc)
    assert seen(server, "Authorization") == {basic("all:da")}


@pytest.mark.parametrize("name", ["localhost", "default"])
def test_the_default_is_for_no_other_host(
    volume: Volume,
    server: Server,
    images: Images,
    netrc: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Else who can make our server redirect is told the password; by any name that he likes."""
    with http_server.running() as other:
        there = f"http://{name}:{other.address[1]}/disk.qcow2"
        if name == "default":
            monkeypatch.setenv("HTTP_PROXY", other.url(""))
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for path in (there, "/disk.qcow2"):
            other.serve(path, images.qcow2.read_bytes())
        volume.ensure(server.serve("/disk.qcow2", to(there)), **netrc)
        assert seen(server, "Authorization") == {basic("me:so")}
        assert seen(other, "Authorization") == {None}


def test_another_port_is_another_server(
    volume: Volume, server: Server, images: Images, netrc: dict[str, str]
) -> None:
    with http_server.running() as other:
        there = other.serve("/disk.qcow2", images.qcow2.read_bytes())
        volume.ensure(server.serve("/disk.qcow2", to(there)), **netrc)
        assert seen(server, "Authorization") == {basic("me:so")}
        assert seen(other, "Authorization") == {None}


@pytest.mark.usefixtures("trusted")
def test_nothing_goes_without_tls_where_the_source_has_it(
    volume: Volume,
    server: Server,
    images: Images,
    certificate: Certificate,
    netrc: dict[str, str],
) -> None:
    """Not even to a host that the file names."""
    there = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    with certificate.server() as secure:
        volume.ensure(by_name(secure.serve("/disk.qcow2", to(there))), **netrc)
        assert seen(secure, "Authorization") == {basic("all:da")}
    assert seen(server, "Authorization") == {None}


def test_a_list_of_checksums_of_another_host_has_its_own(
    volume: Volume, server: Server, images: Images, netrc: dict[str, str]
) -> None:
    """What is in the settings may be asked with what the file names; the default is not for it."""
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    with http_server.running() as other:
        sums = other.serve("/SHA256SUMS", f"{images.digest}  disk.qcow2\n".encode())
        volume.ensure(by_name(url), IMG_CHECKSUM=sums, **netrc)
        assert seen(other, "Authorization") == {basic("me:so")}
        volume.ensure(f"{url}?again", IMG_CHECKSUM=by_name(sums), **netrc)
        assert other.requests[-1].headers.get("Authorization") is None
