"""A pet moved to another base, back again, and killed meanwhile."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.disk import holder, pet, rebase, request
from launcher.disk import record as records
from launcher.disk.alone import unwritten
from launcher.disk.request import Restore
from launcher.disk.snapshot import offline
from launcher.host.errors import AlreadyThere, Busy, ImageRefused, InputMissing, StorageError
from tests.storage import tmpfs
from tests.storage.pet_volumes import Volumes, die_at, volumes
from tests.storage.qcow2 import check, content, holds, info, run, write


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    """With a second image that has other data where the first one has its own, and where it has
    none."""
    made = volumes(tmp_path / "first")
    made.image("two", "80M", at1M=6, at20M=4)
    return made


def stands_on(made: Volumes) -> str:
    return Path(info(made.disk)["full-backing-filename"]).name


def test_content_is_as_it_was_on_the_new_base(made: Volumes) -> None:
    before, old = content(made.disk), pet.find(made.place).record
    assert old
    made.move("two")
    assert content(made.disk) == before
    assert stands_on(made) == made.base("two").path.name
    record = pet.find(made.place).record
    assert record
    assert (record.uuid, record.mac, record.created) == (old.uuid, old.mac, old.created)
    assert record.base_digest == made.base("two").digest
    assert record.former == old.base
    assert made.names() == ["web-3.json", "web-3.qcow2", "web-3.qcow2.before-rebase"]
    check(made.disk)
    assert made.start("two", VM_DISK_SIZE="100M").path == made.disk


def test_old_base_can_go_once_it_is_confirmed(made: Volumes) -> None:
    before, old = content(made.disk), made.base("one").path
    made.move("two")
    made.confirm()
    assert made.names() == ["web-3.json", "web-3.qcow2"]
    record = pet.find(made.place).record
    assert record
    assert record.former is None
    old.unlink()
    made.start("two")
    assert content(made.disk) == before
    with pytest.raises(InputMissing, match="no disk of before a rebase is kept"):
        made.confirm()
    with pytest.raises(InputMissing, match="no disk of before a rebase is kept"):
        made.undo()


def test_undo_and_undo_of_that(made: Volumes) -> None:
    before = content(made.disk)
    made.move("two")
    write(made.disk, 5, "8M")
    after = content(made.disk)
    made.undo()
    assert (content(made.disk), stands_on(made)) == (before, made.base("one").path.name)
    made.start("one")
    made.undo()
    assert (content(made.disk), stands_on(made)) == (after, made.base("two").path.name)
    made.start("two")
    assert made.names() == ["web-3.json", "web-3.qcow2", "web-3.qcow2.before-rebase"]


def test_base_that_it_stands_on_already(made: Volumes) -> None:
    made.move("one")
    assert made.names() == ["web-3.json", "web-3.qcow2"]


def test_only_one_old_disk_is_kept(made: Volumes) -> None:
    made.move("two")
    made.image("three", at1M=1)
    with pytest.raises(AlreadyThere, match="before the last rebase"):
        made.move("three")
    assert stands_on(made) == made.base("two").path.name


def test_snapshots_would_be_another_content(made: Volumes) -> None:
    offline.create(made.place, "early", "", None)
    before = made.disk.read_bytes()
    with pytest.raises(ImageRefused, match="1 snapshots"):
        made.move("two")
    assert made.disk.read_bytes() == before


def test_copy_that_reads_otherwise_is_refused(
    made: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would with `rebase -u`, which users may expect."""
    safe = rebase.rebase_argv
    monkeypatch.setattr(rebase, "rebase_argv", lambda *given: [*safe(*given), "-u"])
    before = content(made.disk)
    with pytest.raises(StorageError, match="would not be the same"):
        made.move("two")
    assert content(made.disk) == before
    assert made.names() == ["web-3.json", "web-3.qcow2"]


def test_volume_without_space_for_a_second_disk(
    made: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(made.disk, 5, "30M", "8M")
    small = Volumes(tmp_path / "small", made.common)
    folder = small.place.folder
    folder.mkdir(parents=True)
    with tmpfs.mounted(folder, "size=14m"):
        for each in made.place.folder.iterdir():
            run("cp", "--sparse=always", each, folder)
        with pytest.raises(StorageError, match=r"too little space .* for a second"):
            small.move("two")
        assert small.names() == ["web-3.json", "web-3.qcow2"]
        assert small.start().path == small.disk


def test_disk_in_use_is_not_moved(made: Volumes) -> None:
    with unwritten(made.place):
        # What QEMU says to a lock that is ours.
        with pytest.raises(Exception, match="non-zero exit status 1"):
            write(made.disk, 1, "1M")
        assert holds(made.disk, 9, "8M")
    write(made.disk, 2, "1M")
    with in_use(made), pytest.raises(Busy, match="is in use by another process"):
        made.move("two")
    assert made.names() == ["web-3.json", "web-3.qcow2"]


@contextmanager
def in_use(made: Volumes) -> Iterator[None]:
    """By who has the disk open for writing, as QEMU does in another pod."""
    argv = ["qemu-io", "-f", "qcow2", str(made.disk)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.read(len("qemu-io>")) == b"qemu-io>"
        yield
        other.stdin.close()


def test_request_outlasts_a_pod_that_comes_too_early(made: Volumes) -> None:
    asked = made.to("two")
    offline.create(made.place, "early", "", None)
    for each in (Restore("early", ""), asked):
        request.save(made.place, each)
        with in_use(made), pytest.raises(Busy, match=r"^the pet web-3 is in use"):
            made.start("two")
        assert request.load(made.place) == each
    # Nor is its snapshot to be removed before that.
    request.forget(made.place)
    offline.delete(made.place, "early", None)
    request.save(made.place, asked)
    made.start("two")
    assert stands_on(made) == made.base("two").path.name


def test_request_outlasts_who_takes_the_disk_a_moment_later(
    made: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = made.to("two")
    request.save(made.place, asked)
    monkeypatch.setattr(holder, "refuse_second", lambda _: None)
    with in_use(made), pytest.raises(Busy, match=r"^the pet web-3 is in use"):
        made.start("two")
    assert request.load(made.place) == asked


def test_request_moves_it_at_the_next_start(made: Volumes) -> None:
    before = content(made.disk)
    request.save(made.place, made.to("two"))
    made.start("two")
    assert request.load(made.place) is None
    assert (content(made.disk), stands_on(made)) == (before, made.base("two").path.name)


def test_request_that_cannot_be_met_is_given_up(
    made: Volumes, caplog: pytest.LogCaptureFixture
) -> None:
    asked = made.to("two")
    made.base("two").path.unlink()
    request.save(made.place, asked)
    assert made.start("one").path == made.disk
    assert "the disk stays on its base" in caplog.text
    assert request.load(made.place) is None
    assert stands_on(made) == made.base("one").path.name


@pytest.mark.parametrize("action", ["move", "undo", "confirm"])
def test_killed_at_any_step_it_is_the_same_disk_on_one_base_or_the_other(
    tmp_path: Path, made: Volumes, action: str
) -> None:
    before = content(made.disk)
    made.base("two")
    if action != "move":
        made.move("two")
    seen = set()
    for step in range(1, 80):
        copy = made.again(tmp_path / f"{action}{step}")
        status = die_at(step, action, copy)
        seen.add(tuple(copy.names()))
        copy.start()
        assert content(copy.disk) == before, step
        check(copy.disk)
        if action == "move":
            left = {copy.place.rebasing, copy.place.new_disk} & set(copy.place.folder.iterdir())
            assert not left, step
        finish(copy, action)
        assert content(copy.disk) == before, step
        expected = made.base("one" if action == "undo" else "two").path.name
        assert stands_on(copy) == expected
        if status == 0:
            assert len(seen) > 2
            return
    pytest.fail("it never came to its end")


def finish(made: Volumes, action: str) -> None:
    """What its owner does after a crash: the same again, unless it was done."""
    record = records.load(made.place)
    assert record
    match action:
        case "move":
            made.move("two")
        case "undo" if record.base_digest != made.base("one").digest:
            made.undo()
        case "confirm" if record.former or os.path.lexists(made.place.former):
            made.confirm()
    made.start()
    left = [each for each in made.names() if not each.endswith(".json.new")]
    kept = [] if action == "confirm" else ["web-3.qcow2.before-rebase"]
    assert left == ["web-3.json", "web-3.qcow2", *kept]
