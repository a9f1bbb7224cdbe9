"""Fetches that die, and fetches at the same time: never a base that is not whole."""

import re
import signal

import pytest

from launcher.image.format import qemu_img
from launcher.image.store.lease import key
from tests.storage.conftest import Images, Volume
from tests.storage.ensuring import PATIENCE, ensuring
from tests.storage.http_server import Hold, Reply, Server


def test_killed_in_the_middle(volume: Volume, server: Server, images: Images) -> None:
    body = images.qcow2.read_bytes()
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(body, hold=hold), Reply(body))
    with ensuring(volume.path, url) as (one,):
        assert hold.reached.wait(PATIENCE)
        one.process.kill()
        one.process.wait()
    hold.go.set()
    lease, part = sorted(volume.names(), key=len)
    assert re.fullmatch(r"fetch-[0-9a-f]{32}\.lease-1", lease)
    assert re.fullmatch(r"fetch-[0-9a-f]{32}\.\w{8}\.part", part)
    # As what the disk of an image in a foreign format is put into.
    folder = volume.path / lease.replace("lease-1", "abcdefgh.part")
    folder.mkdir()
    (folder / "0123").touch()
    base = volume.ensure(url)
    assert base.path.read_bytes() == body
    assert len(server.requests) == 2, "what was left is not used"
    assert not [name for name in volume.names() if name.startswith("fetch-")], "nor does it stay"


def test_what_was_left_and_cannot_be_removed_stays(
    volume: Volume, server: Server, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    """Another user's folder, say; as root one needs something else that fails."""
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    left = volume.path / f"fetch-{key(url)}.abcdefgh.part"
    (left / "folder").mkdir(parents=True)
    assert volume.ensure(url).digest == images.digest
    assert f"{left}, of an earlier fetch, stays: Is a directory" in caplog.text


def test_stopped_in_the_middle(volume: Volume, server: Server, images: Images) -> None:
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), hold=hold))
    with ensuring(volume.path, url) as (one,):
        assert hold.reached.wait(PATIENCE)
        one.process.terminate()
        assert one.process.wait(PATIENCE) == 128 + signal.SIGTERM
    hold.go.set()
    assert volume.names() == []


@pytest.mark.parametrize("kind", ["qcow2", "raw"])
def test_two_addresses_at_the_same_time_end_with_one_file(
    volume: Volume, server: Server, images: Images, kind: str
) -> None:
    body = (images.qcow2 if kind == "qcow2" else images.raw).read_bytes()
    holds = [Hold(), Hold()]
    urls = [
        server.serve(path, Reply(body, hold=hold))
        for path, hold in zip(("/one", "/two"), holds, strict=True)
    ]
    with ensuring(volume.path, urls[0]) as (one,), ensuring(volume.path, urls[1]) as (two,):
        for hold in holds:
            assert hold.reached.wait(PATIENCE)
        for hold in holds:
            hold.go.set()
        (end,) = {each.end() for each in (one, two)}
        assert end[0] == 0, one.log + two.log
    bases = [volume.ensure(url) for url in urls]
    assert [str(each.path) for each in bases] == [end[1], end[1]]
    stored = bases[0].path.name
    assert volume.names() == sorted(["one", "two", stored, stored.replace(".qcow2", ".json")])
    assert len(server.requests) == 2


def test_an_interrupt_during_the_check(
    volume: Volume, server: Server, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(qemu_img, "check", interrupted)
        with pytest.raises(KeyboardInterrupt):
            volume.ensure(url)
    assert volume.names() == []
    assert volume.ensure(url).path.is_file()
