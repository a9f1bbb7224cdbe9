"""Secrets reach the server that they are for, and nobody else: no other host, no log, no error."""

import base64
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.host.errors import InputMissing, SettingsError, SourceUnavailable
from launcher.image.source import parts, retry
from tests.storage import http_server
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Reply, Request, Server
from tests.storage.ranged import Ranged


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", 1 << 20)
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture
def other() -> Iterator[Server]:
    """One on another port, which is another host as far as secrets go."""
    with http_server.running() as running:
        yield running


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def headers_file(tmp_path: Path, text: str = "X-Token: geheim\nAuthorization: Bearer abc\n") -> str:
    path = tmp_path / "headers"
    path.write_text(text)
    return str(path)


def seen(server: Server, name: str) -> set[str | None]:
    return {each.headers.get(name) for each in server.requests}


def test_headers_go_with_every_request_to_their_host(
    volume: Volume, server: Server, images: Images, tmp_path: Path
) -> None:
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    volume.ensure(server.url("/disk.qcow2"), IMG_HEADERS_FILE=headers_file(tmp_path))
    assert len(server.requests) > 2
    assert seen(server, "X-Token") == {"geheim"}
    assert seen(server, "Authorization") == {"Bearer abc"}


@pytest.mark.parametrize("user", ["", "me:gehe%2Fim"])
def test_nothing_goes_to_another_host(
    volume: Volume, server: Server, other: Server, images: Images, tmp_path: Path, user: str
) -> None:
    """Nor is it forgotten on the way back."""
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    other.serve("/on", Reply(status=302, headers={"Location": server.url("/disk.qcow2")}))
    server.serve("/first", Reply(status=302, headers={"Location": other.url("/on")}))
    url = server.url("/first", user=user)
    volume.ensure(url, IMG_HEADERS_FILE=headers_file(tmp_path))
    assert seen(other, "X-Token") == seen(other, "Authorization") == {None}
    assert seen(server, "X-Token") == {"geheim"}
    # What is in the address is the more particular of the two.
    assert seen(server, "Authorization") == {basic("me:gehe/im") if user else "Bearer abc"}


def test_parts_from_another_host_take_nothing_along(
    volume: Volume, server: Server, other: Server, images: Images, tmp_path: Path
) -> None:
    other.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    to = Reply(status=302, headers={"Location": other.url("/disk.qcow2")})
    server.serve("/disk.qcow2", to)
    volume.ensure(
        server.url("/disk.qcow2", user="me:geheim"), IMG_HEADERS_FILE=headers_file(tmp_path)
    )
    assert len(other.requests) > 2
    assert seen(other, "X-Token") == seen(other, "Authorization") == {None}


def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> dict[str, str]:
    path = tmp_path / "netrc"
    path.write_text(
        "machine localhost login you password da\nmachine 127.0.0.1 login me password so\n"
    )
    if how == "setting":
        return {"IMG_NETRC_FILE": str(path)}
    monkeypatch.setenv("NETRC", str(path))
    return {}


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_netrc_has_each_host_s_own(
    volume: Volume,
    server: Server,
    images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    environ = netrc(tmp_path, monkeypatch, how)
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    there = server.url("/disk.qcow2").replace("127.0.0.1", "localhost")
    server.serve("/first", Reply(status=302, headers={"Location": there}))
    volume.ensure(server.url("/first"), **environ)
    first, *others = server.requests
    assert first.headers["Authorization"] == basic("me:so")
    assert {each.headers["Authorization"] for each in others} == {basic("you:da")}


@pytest.mark.parametrize("how", ["setting", "environment"])
def test_the_address_counts_more_than_netrc(
    volume: Volume,
    server: Server,
    images: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    environ = netrc(tmp_path, monkeypatch, how)
    server.serve("/disk.qcow2", images.qcow2.read_bytes())
    volume.ensure(server.url("/disk.qcow2", user="me:mine"), **environ)
    assert seen(server, "Authorization") == {basic("me:mine")}


def test_a_netrc_file_of_ones_own_is_the_only_one(
    volume: Volume, server: Server, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc(tmp_path, monkeypatch, "environment")
    mine = tmp_path / "mine"
    mine.write_text("machine elsewhere login a password b\n")
    server.serve("/disk.qcow2", images.qcow2.read_bytes())
    volume.ensure(server.url("/disk.qcow2"), IMG_NETRC_FILE=str(mine))
    assert seen(server, "Authorization") == {None}


def test_the_list_of_checksums_gets_headers_from_the_same_host_only(
    volume: Volume, server: Server, other: Server, images: Images, tmp_path: Path
) -> None:
    line = f"{images.digest}  disk.qcow2\n".encode()
    server.replies["/disk.qcow2"] = Ranged(images.qcow2.read_bytes())
    for place, token in ((server, "geheim"), (other, None)):
        sums = place.serve("/SHA256SUMS", line)
        volume.ensure(
            server.url("/disk.qcow2"), IMG_CHECKSUM=sums, IMG_HEADERS_FILE=headers_file(tmp_path)
        )
        (asked,) = (each for each in place.requests if each.path == "/SHA256SUMS")
        assert asked.headers.get("X-Token") == token
        assert "Range" not in asked.headers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X-Token geheim", "line 1, is not accepted; accepted: `Name: value`"),
        ("A: b\n\nX-Token:", "line 3, is not accepted"),
        ("X-Token: a\rHost: b", "line 1, is not accepted"),
        ("X-Token: geh\x00eim", "line 1, is not accepted"),
        ("X-Token: gehäim", "line 1, is not accepted"),
        (" X-Token: geheim", "line 1, is not accepted"),
        ("range: bytes=0-1", "line 1, sets range, which Berth sets itself"),
        ("If-Match: geheim", "sets If-Match, which"),
        ("Host: geheim", "sets Host, which"),
        ("Accept-Encoding: gzip", "sets Accept-Encoding, which"),
        ("Content-Length: 3", "sets Content-Length, which"),
        ("Proxy-Authorization: geheim", "sets Proxy-Authorization, which"),
        ("X-Token: a\nx-token: b", "line 2, sets x-token once more"),
        ("X: " + "x" * (64 << 10), "is too large; accepted: 64 KiB"),
    ],
)
def test_headers_that_cannot_be(
    volume: Volume, server: Server, tmp_path: Path, text: str, words: str
) -> None:
    path = headers_file(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        volume.ensure(server.url("/disk.qcow2"), IMG_HEADERS_FILE=path)
    assert f"IMG_HEADERS_FILE={path!r}" in str(caught.value)
    assert words in str(caught.value)
    assert "geh" not in str(caught.value)
    assert caught.value.exit_code == 78
    assert server.requests == []
    assert volume.names() == []


def test_lines_may_end_as_on_windows(
    volume: Volume, server: Server, images: Images, tmp_path: Path
) -> None:
    server.serve("/disk.qcow2", images.qcow2.read_bytes())
    path = tmp_path / "headers"
    path.write_bytes(b"X-Token: a: b \r\n\r\nX-More:c\r\n")
    volume.ensure(server.url("/disk.qcow2"), IMG_HEADERS_FILE=str(path))
    assert (seen(server, "X-Token"), seen(server, "X-More")) == ({"a: b"}, {"c"})


@pytest.mark.parametrize("setting", ["IMG_HEADERS_FILE", "IMG_NETRC_FILE"])
def test_files_that_are_not_there(volume: Volume, server: Server, setting: str) -> None:
    """requests would pass over it, and the server then say no."""
    with pytest.raises(InputMissing, match=f"{setting}='/nowhere' cannot be read: No such file"):
        volume.ensure(server.url("/disk.qcow2"), **{setting: "/nowhere"})


@pytest.mark.parametrize("there", ["headers", "netrc"])
def test_a_secret_may_have_one_of_the_two(
    volume: Volume, server: Server, images: Images, tmp_path: Path, there: str
) -> None:
    text = {"headers": "Authorization: Bearer abc", "netrc": "machine 127.0.0.1 login a password b"}
    (tmp_path / there).write_text(text[there])
    files = {f"IMG_{name.upper()}_FILE": str(tmp_path / name) for name in text}
    server.serve("/disk.qcow2", images.qcow2.read_bytes())
    volume.ensure(server.url("/disk.qcow2"), **files)
    assert seen(server, "Authorization") == {basic("a:b") if there == "netrc" else "Bearer abc"}
    (tmp_path / there).unlink()
    with pytest.raises(InputMissing, match=r"IMG_HEADERS_FILE=.* cannot be read: No such file"):
        volume.ensure(server.url("/other.qcow2"), **files)


def test_a_netrc_file_that_makes_no_sense(volume: Volume, server: Server, tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine a login b password c\ngeheim\n")
    with pytest.raises(SettingsError) as caught:
        volume.ensure(server.url("/disk.qcow2"), IMG_NETRC_FILE=str(path))
    assert f"IMG_NETRC_FILE={str(path)!r} has something that is not accepted" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert "geheim" not in told


def test_nothing_of_it_is_shown(
    volume: Volume, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")

    def reply(request: Request) -> Reply:
        return Reply(status=503 if len(server.requests) < 3 else 401)

    server.replies["/disk.qcow2"] = reply
    with pytest.raises(SourceUnavailable, match="wants credentials") as caught:
        volume.ensure(server.url("/disk.qcow2"), IMG_HEADERS_FILE=headers_file(tmp_path))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "geheim" not in told
    assert "Bearer" not in told
