"""Downloads that break off, at any moment, and what the next try makes of what they left."""

import errno
import gzip
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from launcher.host.errors import ImageRefused, SourceUnavailable
from launcher.image.source import parts, retry
from launcher.image.source.kept import kept
from tests.storage.conftest import MIB, Images, Volume, qemu_img
from tests.storage.ensuring import PATIENCE, ensuring
from tests.storage.http_server import Hold, Reply, Server
from tests.storage.outcomes import disk
from tests.storage.ranged import Ranged, Times

PART = 128 << 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART", PART)
    monkeypatch.setattr(retry, "FIRST", 0.0)


@pytest.fixture
def body(images: Images) -> bytes:
    return images.qcow2.read_bytes()


@pytest.fixture
def broken_off(volume: Volume, server: Server, body: bytes) -> Ranged:
    """A source of which half is on the volume, since the server was gone then."""
    half = len(body) // PART // 2 * PART
    ranged = Ranged(body)
    ranged.spoil = lambda reply, first, end: Reply(silent=True) if first >= half else reply
    server.replies["/disk.qcow2"] = ranged
    # A part of the first half may still be on its way when it gives up.
    for _ in range(10):
        with pytest.raises(SourceUnavailable) as caught:
            volume.ensure(server.url("/disk.qcow2"))
        if f"ended after {half} of" in str(caught.value):
            break
    else:
        pytest.fail(f"there are not {half} bytes: {caught.value}")
    ranged.spoil = lambda reply, first, end: reply
    ranged.asked.clear()
    return ranged


def listed(volume: Volume) -> str:
    """The list of parts, empty if there is none."""
    return "".join(path.read_text() for path in volume.path.glob("fetch-*.json"))


@pytest.mark.parametrize("status", [404, 501])
def test_a_server_that_has_it_not_now_has_not_changed_it(
    volume: Volume,
    server: Server,
    broken_off: Ranged,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    """What is there stays, and nobody is told that it is of no use."""
    caplog.set_level("INFO")
    before = listed(volume)
    server.replies["/disk.qcow2"] = Reply(status=status)
    with pytest.raises(SourceUnavailable, match=f"answered {status}"):
        volume.ensure(server.url("/disk.qcow2"))
    assert listed(volume) == before != ""
    assert "changed" not in caplog.text


def test_what_is_there_is_not_fetched_again(
    volume: Volume, server: Server, broken_off: Ranged, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listing = json.loads(listed(volume))
    half = len(broken_off.body) // PART // 2
    assert listing["done"] == [[0, half - 1]]
    assert listing["source"] == server.url("/disk.qcow2")
    base = volume.ensure(server.url("/disk.qcow2"))
    assert base.path.read_bytes() == broken_off.body
    # A request of the try that was broken off may have come to the server late: each counts once.
    asked = {each for each in broken_off.asked if each}
    assert min(asked)[0] == half * PART
    assert sum(end - first for first, end in asked) == len(broken_off.body) - half * PART
    assert "1.6 MiB of 3.3 MiB are here from an earlier try" in caplog.text
    assert [each for each in volume.names() if each.startswith("fetch")] == []


def test_the_key_and_the_list_hold_nothing_secret(
    volume: Volume, server: Server, body: bytes
) -> None:
    gone = Times(99, lambda reply: Reply(silent=True), lambda first, end: first >= PART)
    server.replies["/disk.qcow2"] = Ranged(body, spoil=gone)
    url = server.url("/disk.qcow2", user="me:geheim") + "?sig=heimlich"
    with pytest.raises(SourceUnavailable):
        volume.ensure(url)
    (path,) = volume.path.glob("fetch-*.json")
    assert re.fullmatch(r"fetch-[0-9a-f]{32}\.json", path.name)
    assert "heim" not in path.read_text()
    assert path.with_suffix(".part").stat().st_size == len(body)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda server, ranged, path: setattr(ranged, "etag", '"two"'), id="etag"),
        pytest.param(lambda server, ranged, path: setattr(ranged, "etag", None), id="no etag"),
        pytest.param(
            lambda server, ranged, path: setattr(ranged, "body", ranged.body + bytes(512)),
            id="length",
        ),
        pytest.param(lambda server, ranged, path: path.unlink(), id="no data"),
        pytest.param(lambda server, ranged, path: os.truncate(path, 1000), id="data cut"),
        pytest.param(
            lambda server, ranged, path: path.with_suffix(".json").write_text("{"), id="no list"
        ),
        pytest.param(
            lambda server, ranged, path: path.with_suffix(".json").write_text(
                path.with_suffix(".json").read_text().replace(str(PART), str(PART // 2))
            ),
            id="part size",
        ),
        pytest.param(
            lambda server, ranged, path: (
                path.rename(path.with_suffix(".old")),
                path.write_bytes(bytes(len(ranged.body))),
            ),
            id="other data",
        ),
    ],
)
def test_what_does_not_fit_is_not_used(
    volume: Volume,
    server: Server,
    broken_off: Ranged,
    spoilt: Callable[..., object],
) -> None:
    (path,) = volume.path.glob("fetch-*.part")
    spoilt(server, broken_off, path)
    base = volume.ensure(server.url("/disk.qcow2"))
    assert base.path.read_bytes() == broken_off.body
    assert (0, PART) in broken_off.asked


def test_parts_of_another_address_are_not_used(
    volume: Volume, server: Server, broken_off: Ranged
) -> None:
    volume.ensure(server.url("/disk.qcow2") + "?v=2")
    assert (0, PART) in broken_off.asked
    assert len(list(volume.path.glob("fetch-*"))) == 2


def test_a_list_of_another_address_under_the_same_name(
    volume: Volume, server: Server, broken_off: Ranged
) -> None:
    (path,) = volume.path.glob("fetch-*.json")
    path.write_text(path.read_text().replace("/disk.qcow2", "/other.qcow2"))
    volume.ensure(server.url("/disk.qcow2"))
    assert (0, PART) in broken_off.asked


def test_all_of_it_there_takes_one_byte(volume: Volume, server: Server, body: bytes) -> None:
    """It broke off while the image was checked."""
    ranged = Ranged(body)
    server.replies["/disk.qcow2"] = ranged
    url = server.url("/disk.qcow2")
    want_all = len(body) - 1, len(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retry, "TRIES", 1)
        gone = Times(9, lambda reply: Reply(silent=True), lambda first, end: end == len(body))
        ranged.spoil = gone
        with pytest.raises(SourceUnavailable):
            volume.ensure(url)
    (data,), (listing,) = volume.path.glob("fetch-*.part"), volume.path.glob("fetch-*.json")
    data.write_bytes(body)
    text = json.loads(listing.read_text())
    text["done"] = [[0, (len(body) - 1) // PART]]
    listing.write_text(json.dumps(text))
    ranged.asked.clear()
    ranged.spoil = lambda reply, first, end: reply
    assert volume.ensure(url).path.read_bytes() == body
    assert ranged.asked == [want_all]


def test_damage_that_was_kept_is_noticed(
    volume: Volume, server: Server, broken_off: Ranged, images: Images
) -> None:
    """The digest is of what is in the file at the end, not of what once arrived."""
    (path,) = volume.path.glob("fetch-*.part")
    with path.open("r+b") as file:
        file.seek(PART + 5)
        file.write(b"damaged")
    with pytest.raises(ImageRefused, match="wrong checksum"):
        volume.ensure(server.url("/disk.qcow2"), IMG_CHECKSUM=f"sha256:{images.digest}")
    assert volume.names() == []


@pytest.mark.parametrize("before", ["", "sha256:" + "0" * 64])
def test_a_checksum_that_is_new_does_not_make_it_begin_anew(
    volume: Volume, server: Server, images: Images, broken_off: Ranged, before: str
) -> None:
    """It is of the bytes, whoever asked for them. And one that is wrong is not found right."""
    half = len(broken_off.body) // PART // 2 * PART
    url = server.url("/disk.qcow2")
    if before:
        broken_off.spoil = Times(
            99, lambda reply: Reply(silent=True), lambda first, end: first > half
        )
        with pytest.raises(SourceUnavailable):
            volume.ensure(url, IMG_CHECKSUM=before)
        broken_off.spoil = lambda reply, first, end: reply
    assert volume.ensure(url, IMG_CHECKSUM=f"sha256:{images.digest}").digest == images.digest
    assert (0, PART) not in broken_off.asked
    assert min(each for each in broken_off.asked if each)[0] >= half


def test_a_wrong_checksum_leaves_nothing_to_go_on_with(
    volume: Volume, server: Server, images: Images, broken_off: Ranged
) -> None:
    url = server.url("/disk.qcow2")
    with pytest.raises(ImageRefused, match="wrong checksum"):
        volume.ensure(url, IMG_CHECKSUM="sha256:" + "0" * 64)
    assert volume.names() == []
    broken_off.asked.clear()
    assert volume.ensure(url, IMG_CHECKSUM=f"sha256:{images.digest}").digest == images.digest
    assert (0, PART) in broken_off.asked


def test_a_base_that_lost_its_record_is_never_written_to(
    volume: Volume, server: Server, broken_off: Ranged
) -> None:
    """A crash between its two names: what is left of the download is the base itself."""
    (path,) = volume.path.glob("fetch-*.part")
    precious = volume.path / "sha256-0.qcow2"
    os.link(path, precious)
    path.chmod(0o444)
    before = precious.read_bytes()
    assert volume.ensure(server.url("/disk.qcow2")).path.read_bytes() == broken_off.body
    assert precious.read_bytes() == before
    assert (0, PART) not in broken_off.asked, "but what is in it is used"


def test_another_fetcher_may_still_write(
    volume: Volume, server: Server, broken_off: Ranged
) -> None:
    """What it did is copied. Whatever it does from then on is nothing to us."""
    url = server.url("/disk.qcow2")
    with kept(volume.path, url, continue_in_place=False, check=lambda: None) as files:
        listing = files.read()
        assert listing is not None
        with files.data.open("r+b") as theirs:
            fd = files.resume(listing)
            theirs.write(b"theirs")
            theirs.flush()
            done = len(listing.done) * PART
            assert os.pread(fd, done, 0) == broken_off.body[:done]
            again = files.read()
            assert again is not None
            assert (again.done, again.inode) == (listing.done, os.fstat(fd).st_ino)
            # Their next list is of their data, and not believed.
            files.write(listing)
            assert files.read() is None
            os.close(fd)


def test_what_another_user_left_is_copied(
    volume: Volume, server: Server, broken_off: Ranged, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse(path: Path, flags: int, *more: int) -> int:
        if Path(path).suffix == ".part" and flags & os.O_RDWR and not flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    url = server.url("/disk.qcow2")
    with kept(volume.path, url, continue_in_place=True, check=lambda: None) as files:
        listing = files.read()
        assert listing is not None
        fd = files.resume(listing)
        done = len(listing.done) * PART
        assert os.pread(fd, done, 0) == broken_off.body[:done]
        os.close(fd)


def test_stopped_by_a_signal(volume: Volume, server: Server, body: bytes) -> None:
    """Within a second or so, though four connections wait for a server that says nothing more."""
    hold = Hold()
    spoil = Times(99, lambda reply: replace(reply, hold=hold), lambda first, end: first >= PART)
    ranged = Ranged(body, spoil=spoil)
    server.replies["/disk.qcow2"] = ranged
    url = server.url("/disk.qcow2")
    with ensuring(volume.path, url, ENSURE_PART=str(PART)) as (one,):
        process = one.process
        assert hold.reached.wait(PATIENCE)
        started = time.monotonic()
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 5
    hold.go.set()
    assert json.loads(listed(volume))["done"] == [[0, 0]]
    ranged.spoil = lambda reply, first, end: reply
    ranged.asked.clear()
    assert volume.ensure(url).path.read_bytes() == body
    assert (0, PART) not in ranged.asked


def test_what_came_is_listed_while_the_rest_comes(
    volume: Volume, server: Server, body: bytes
) -> None:
    """Or a SIGKILL would find nothing listed."""
    hold = Hold()
    last = len(body) // PART - 1
    spoil = Times(
        99, lambda reply: replace(reply, hold=hold), lambda first, end: first >= last * PART
    )
    server.replies["/disk.qcow2"] = Ranged(body, spoil=spoil)
    with ensuring(volume.path, server.url("/disk.qcow2"), ENSURE_PART=str(PART)) as (one,):
        assert hold.reached.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while f"[0, {last - 1}]" not in listed(volume):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        one.process.kill()
        one.process.wait()
    hold.go.set()


@pytest.mark.parametrize("kind", ["qcow2", "raw", "gz"])
def test_killed_again_and_again(
    volume: Volume, server: Server, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At moments that nobody chose. In the end the base is right, and not all was fetched twice."""
    monkeypatch.setattr(parts, "PART", 256 << 10)
    lot = random.Random(7)
    raw = bytearray(lot.randbytes(32 * MIB))
    raw[510:512] = b"\x55\xaa"
    path = tmp_path / "disk.img"
    path.write_bytes(raw)
    if kind == "qcow2":
        qemu_img("convert", "-f", "raw", "-O", "qcow2", path, tmp_path / "disk.qcow2")
        path = tmp_path / "disk.qcow2"
    body = gzip.compress(raw, 1) if kind == "gz" else path.read_bytes()
    # A packed one has a quarter of the connections.
    speed = MIB if kind != "gz" else 4 * MIB
    kills = 0
    # Until it was killed twice, it cannot be done.
    slow = Times(10**6, lambda reply: replace(reply, speed=speed if kills >= 2 else speed // 8))
    ranged = server.replies["/disk"] = Ranged(body, spoil=slow)
    url = server.url("/disk")
    while True:
        ranged.asked.clear()
        with ensuring(volume.path, url, ENSURE_PART=str(parts.PART)) as (one,):
            process = one.process
            try:
                process.wait(lot.uniform(0.8, 2.4))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                assert kills < 40
            else:
                assert process.returncode == 0, one.log
                break
    base = volume.ensure(url)
    assert disk(base.path) == raw
    assert kills >= 2
    assert (0, parts.PART) not in ranged.asked
    assert sum(end - first for first, end in filter(None, ranged.asked)) < len(body)
