"""Fetches that die, and fetches at the same time: never a base that is not whole."""

import re
import signal

import pytest

from launcher.image.format import qemu_img
from tests.storage.conftest import Images, Volume
from tests.storage.http_server import Hold, Reply, Server
from tests.storage.processes import ensuring

# So long that only a hang reaches it.
PATIENCE = 60


def test_killed_in_the_middle(volume: Volume, server: Server, images: Images) -> None:
    body = images.qcow2.read_bytes()
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(body, hold=hold), Reply(body))
    with ensuring(volume, url) as process:
        assert hold.reached.wait(PATIENCE)
        process.kill()
        process.wait()
    hold.go.set()
    (left,) = volume.names()
    assert re.fullmatch(r"disk\.qcow2\.\w+\.part", left)
    base = volume.ensure(url)
    assert base.path.read_bytes() == body
    assert len(server.requests) == 2, "what was left is not used"


def test_stopped_in_the_middle(volume: Volume, server: Server, images: Images) -> None:
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), hold=hold))
    with ensuring(volume, url) as process:
        assert hold.reached.wait(PATIENCE)
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    hold.go.set()
    assert volume.names() == []


@pytest.mark.parametrize("kind", ["qcow2", "raw"])
def test_two_at_the_same_time_end_with_one_file(
    volume: Volume, server: Server, images: Images, kind: str
) -> None:
    body = (images.qcow2 if kind == "qcow2" else images.raw).read_bytes()
    holds = [Hold(), Hold()]
    url = server.serve("/disk", *(Reply(body, hold=hold) for hold in holds))
    with ensuring(volume, url) as one, ensuring(volume, url) as two:
        for hold in holds:
            assert hold.reached.wait(PATIENCE)
        for hold in holds:
            hold.go.set()
        ends = [process.communicate(timeout=PATIENCE) for process in (one, two)]
        assert (one.returncode, two.returncode) == (0, 0), ends
    (path,) = {out.strip() for out, _ in ends}
    names = volume.names()
    assert len(names) == 3, names
    base = volume.ensure(url)
    assert str(base.path) == path
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
