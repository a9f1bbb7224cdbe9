"""Processes that want one image at the same moment: one fetches, the others follow it."""

import fcntl
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from launcher.host.account import Account
from launcher.host.errors import Busy
from launcher.image.format import qemu_img
from tests.storage.conftest import Images, Volume
from tests.storage.ensuring import PATIENCE, Ensuring, ensuring
from tests.storage.fuse import mounted
from tests.storage.http_server import Hold, Reply, Server


def leftovers(volume: Volume) -> list[str]:
    return [each for each in volume.names() if each.startswith("fetch-") or ".part" in each]


@contextmanager
def one_that_is_held(
    volume: Volume, server: Server, images: Images, **environ: str
) -> Iterator[tuple[Ensuring, str, Hold]]:
    """A process whose fetch stops in the middle; a second request is answered whole."""
    body, hold = images.qcow2.read_bytes(), Hold()
    url = server.serve("/disk.qcow2", Reply(body, hold=hold), Reply(body))
    with ensuring(volume.path, url, count=1, **environ) as (holder,):
        assert hold.reached.wait(PATIENCE)
        try:
            yield holder, url, hold
        finally:
            hold.go.set()


def test_24_at_once_and_the_server_is_asked_once(
    volume: Volume, server: Server, images: Images
) -> None:
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(images.qcow2.read_bytes(), hold=hold))
    with ensuring(volume.path, url, count=24) as all_of_them:
        assert hold.reached.wait(PATIENCE)
        waiting = [each for each in all_of_them if "IMG_CHECKSUM is not set" not in each.log]
        assert len(waiting) == 23, "one of them fetches"
        for each in waiting:
            each.says(r"fetches it: fetching IMG_SOURCE=http://127\.0\.0\.1")
        hold.go.set()
        ends = {each.end() for each in all_of_them}
    assert ends == {(0, str(volume.path / f"sha256-{images.digest}.qcow2"))}
    assert server.paths() == ["/disk.qcow2"]
    assert leftovers(volume) == []


def test_24_that_copy_a_file(volume: Volume, images: Images) -> None:
    with ensuring(volume.path, images.raw, count=24) as all_of_them:
        ends = {each.end() for each in all_of_them}
        logs = [each.log for each in all_of_them]
    (end,) = ends
    assert end[0] == 0
    assert sum("copied" in each.replace("fetches it: copied", "") for each in logs) == 1
    assert leftovers(volume) == []


def test_one_that_is_killed_is_replaced_at_once(
    volume: Volume, server: Server, images: Images
) -> None:
    with (
        one_that_is_held(volume, server, images) as (holder, url, _),
        ensuring(volume.path, url, count=3, ENSURE_PATIENCE="3600") as followers,
    ):
        for each in followers:
            each.says("fetches it")
        holder.process.kill()
        assert {each.end()[0] for each in followers} == {0}
        assert sum("died while it fetched it" in each.log for each in followers) == 1
    assert len(server.requests) == 2


def test_one_that_is_stopped_leaves_it_to_the_next(
    volume: Volume, server: Server, images: Images
) -> None:
    with (
        one_that_is_held(volume, server, images) as (holder, url, _),
        ensuring(volume.path, url, count=2, ENSURE_PATIENCE="3600") as followers,
    ):
        for each in followers:
            each.says("fetches it")
        holder.process.terminate()
        assert {each.end()[0] for each in followers} == {0}
        assert sum("stopped fetching it" in each.log for each in followers) == 1
    assert len(server.requests) == 2


def test_one_that_is_paused_is_waited_for(volume: Volume, server: Server, images: Images) -> None:
    """As long as it has its lock: however impatient they are."""
    with (
        one_that_is_held(volume, server, images) as (holder, url, hold),
        ensuring(volume.path, url, count=2, ENSURE_PATIENCE="0.5") as followers,
    ):
        for each in followers:
            each.says("fetches it")
        holder.process.send_signal(signal.SIGSTOP)
        hold.go.set()
        with pytest.raises(TimeoutError):
            # Ten times their patience.
            waited_out(followers, 5)
        holder.process.send_signal(signal.SIGCONT)
        assert {each.end()[0] for each in (holder, *followers)} == {0}
    assert len(server.requests) == 1


def waited_out(processes: list[Ensuring], seconds: float) -> None:
    """:raise TimeoutError: when none of them ended in that time."""
    for each in processes:
        try:
            each.process.wait(seconds / len(processes))
        except subprocess.TimeoutExpired:
            continue
        return
    raise TimeoutError


def test_one_on_another_machine_that_is_paused_is_replaced_and_gives_way(
    volume: Volume, server: Server, images: Images
) -> None:
    with (
        one_that_is_held(volume, server, images, ENSURE_BOOT="another") as (holder, url, hold),
        ensuring(volume.path, url, ENSURE_PATIENCE="2") as (follower,),
    ):
        follower.says("fetches it")
        holder.process.send_signal(signal.SIGSTOP)
        assert follower.end()[0] == 0
        assert "shows no sign of life for 2 s; fetching it here" in follower.log
        before = {each: (volume.path / each).lstat().st_mtime_ns for each in volume.names()}
        hold.go.set()
        holder.process.send_signal(signal.SIGCONT)
        assert holder.end() == (75, "")
        assert "was taken over by" in holder.log
        after = {each: (volume.path / each).lstat().st_mtime_ns for each in volume.names()}
    assert {each: before[each] for each in after} == after, "it adopted nothing"
    assert len(server.requests) == 2


def test_one_that_is_replaced_during_its_last_check_puts_nothing_in_place(
    volume: Volume, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = qemu_img.check

    def overtaken(path: Path, source: str, account: Account | None = None) -> None:
        check(path, source, account)
        (lease,) = volume.path.glob("fetch-*.lease-1")
        shutil.copyfile(lease, lease.with_suffix(".lease-2"))

    monkeypatch.setattr(qemu_img, "check", overtaken)
    with pytest.raises(Busy, match="was taken over by"):
        volume.ensure(images.qcow2)
    assert [each for each in volume.names() if "lease" not in each] == []


def test_one_on_another_machine_that_lives_is_waited_for(
    volume: Volume, server: Server, images: Images
) -> None:
    with (
        one_that_is_held(volume, server, images, ENSURE_BOOT="another", ENSURE_PATIENCE="2") as (
            holder,
            url,
            hold,
        ),
        ensuring(volume.path, url, ENSURE_PATIENCE="2") as (follower,),
    ):
        follower.says("fetches it")
        with pytest.raises(TimeoutError):
            waited_out([follower], 6)
        hold.go.set()
        assert {each.end()[0] for each in (holder, follower)} == {0}
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "promised"),
    [
        pytest.param(65, None, id="no image"),
        pytest.param(69, 1 << 20, id="cut short"),
    ],
)
def test_a_failure_is_passed_on(
    volume: Volume, server: Server, status: int, promised: int | None
) -> None:
    hold = Hold()
    url = server.serve("/disk.qcow2", Reply(bytes(1 << 18), promised=promised, hold=hold))
    with ensuring(volume.path, url) as (holder,):
        assert hold.reached.wait(PATIENCE)
        with ensuring(volume.path, url, count=3) as followers:
            for each in followers:
                each.says("fetches it")
            hold.go.set()
            assert {each.end() for each in (holder, *followers)} == {(status, "")}
            reason = holder.log.splitlines()[-1]
            for each in followers:
                assert each.log.splitlines()[-1].endswith(f" found: {reason}")
        asked = len(server.requests)
        # The pods start again, and it is tried again.
        with ensuring(volume.path, url) as (again,):
            assert again.end()[0] == status
        assert len(server.requests) > asked
    assert volume.names() == []


def test_where_there_are_no_locks_time_tells(
    volume: Volume, server: Server, images: Images, tmp_path: Path
) -> None:
    with mounted(volume.path, tmp_path / "fuse", locks=False) as place:
        with (place / "probe").open("w") as probe, pytest.raises(OSError, match="No locks"):
            fcntl.flock(probe, fcntl.LOCK_EX)
        (place / "probe").unlink()
        on_fuse = Volume(place)
        with (
            one_that_is_held(on_fuse, server, images, ENSURE_PATIENCE="3") as (holder, url, _),
            ensuring(place, url, count=2, ENSURE_PATIENCE="3") as followers,
        ):
            for each in followers:
                each.says("fetches it")
            holder.process.kill()
            assert {each.end()[0] for each in followers} == {0}
            logs = "".join(each.log for each in followers)
            assert logs.count("shows no sign of life for 3 s") == 1
        assert len(server.requests) == 2
        # It might be at work still, so what it wrote to is not removed from under it, and the next
        # fetch is told of that by the lease.
        left = [each for each in leftovers(on_fuse) if not each.endswith(".followed")]
        part, lease = sorted(left, key=lambda each: ".lease" in each)
        assert re.fullmatch(r"fetch-[0-9a-f]{32}\.\w{8}\.part", part)
        assert re.fullmatch(r"fetch-[0-9a-f]{32}\.lease-2", lease)


def test_two_mounts_of_one_kernel_do_not_share_their_locks(
    volume: Volume, server: Server, images: Images, tmp_path: Path
) -> None:
    """As where each pod has its own FUSE daemon: the lock of one that lives looks free."""
    with ExitStack() as stack:
        one, two = (
            stack.enter_context(mounted(volume.path, tmp_path / name)) for name in ("one", "two")
        )
        holder, url, hold = stack.enter_context(one_that_is_held(Volume(one), server, images))
        (follower,) = stack.enter_context(ensuring(two, url))
        follower.says("fetches it")
        with pytest.raises(TimeoutError):
            waited_out([follower], 3)
        hold.go.set()
        assert [each.end() for each in (holder, follower)] == [
            (0, str(place / f"sha256-{images.digest}.qcow2")) for place in (one, two)
        ]
    assert len(server.requests) == 1
