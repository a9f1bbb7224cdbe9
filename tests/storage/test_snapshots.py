"""Snapshots of a pet whose VM is off: taken, listed, restored, removed; and killed meanwhile."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.disk import request
from launcher.disk.request import Restore
from launcher.disk.snapshot import listing, notes, offline
from launcher.disk.snapshot.notes import How
from launcher.host.errors import AlreadyThere, Busy, InputMissing, StorageError
from launcher.life import pending
from tests.storage import tmpfs
from tests.storage.pet_volumes import MIB, Volumes, die_at, volumes
from tests.storage.qcow2 import check, content, holds, info, killed_at, run, write

KEEP = "before-restore-x"


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    return volumes(tmp_path)


@pytest.fixture
def taken(made: Volumes) -> Volumes:
    """With the snapshot `early`, and the pattern at 8M changed since."""
    offline.create(made.place, "early", "before the upgrade", None)
    write(made.disk, 3, "8M")
    return made


def listed(made: Volumes) -> dict[str, How]:
    return {each.name: each.how for each in listing.look(made.place)}


def test_snapshot_is_listed_with_what_is_known_of_it(made: Volumes) -> None:
    told = offline.create(made.place, "early", "before the upgrade", None)
    (found,) = listing.look(made.place)
    assert found == told
    assert (found.name, found.how, found.description) == (
        "early",
        How.OFFLINE,
        "before the upgrade",
    )
    assert found.disk_size == 100 * MIB
    (theirs,) = info(made.disk)["snapshots"]
    assert found.taken == theirs["date-sec"] * 10**9 + theirs["date-nsec"]
    check(made.disk)


def test_pet_with_snapshots_starts_and_grows(taken: Volumes) -> None:
    assert taken.start(VM_DISK_SIZE="200M").virtual_size == 200 * MIB
    assert listed(taken) == {"early": How.OFFLINE}
    check(taken.disk)


def test_name_is_taken_once(taken: Volumes) -> None:
    with pytest.raises(AlreadyThere, match="'early' already"):
        offline.create(taken.place, "early", "", None)
    assert len(info(taken.disk)["snapshots"]) == 1


def test_what_is_not_there(taken: Volumes) -> None:
    for change in (offline.delete, lambda *a: offline.restore(a[0], a[1], "", a[2])):
        with pytest.raises(InputMissing, match="no snapshot 'late'") as caught:
            change(taken.place, "late", None)
        assert "early" in caught.value.hint
    assert holds(taken.disk, 3, "8M")


def test_deleted_snapshot_is_gone_with_its_note(taken: Volumes) -> None:
    offline.delete(taken.place, "early", None)
    assert listed(taken) == {}
    assert notes.load(taken.place) == {}
    assert holds(taken.disk, 3, "8M")
    check(taken.disk)


def test_note_of_another_snapshot_of_that_name_is_not_taken(taken: Volumes) -> None:
    run("qemu-img", "snapshot", "-d", "early", taken.disk)
    run("qemu-img", "snapshot", "-c", "early", taken.disk)
    assert listed(taken) == {"early": How.UNKNOWN}


def test_damaged_notes_are_no_obstacle(taken: Volumes) -> None:
    taken.place.notes.write_text("{")
    assert listed(taken) == {"early": How.UNKNOWN}


def test_notes_that_cannot_be_written_are_no_obstacle(
    taken: Volumes, caplog: pytest.LogCaptureFixture
) -> None:
    # As on a full volume, whose disk may still have room inside.
    taken.place.notes.with_name(f"{taken.place.notes.name}.new").mkdir()
    told = offline.create(taken.place, "late", "", None)
    assert (told.name, told.how) == ("late", How.OFFLINE)
    assert "writing the notes on snapshots" in caplog.text
    offline.restore(taken.place, "early", KEEP, None)
    assert holds(taken.disk, 9, "8M")
    offline.delete(taken.place, "late", None)
    assert listed(taken) == {"early": How.OFFLINE, KEEP: How.UNKNOWN}


def test_restore_keeps_the_state_before(taken: Volumes) -> None:
    offline.restore(taken.place, "early", KEEP, None)
    assert holds(taken.disk, 9, "8M")
    assert holds(taken.disk, 7, "1M")
    assert set(listed(taken)) == {"early", KEEP}
    check(taken.disk)
    offline.restore(taken.place, KEEP, "", None)
    assert holds(taken.disk, 3, "8M")


def test_disk_that_has_grown_since_grows_again(taken: Volumes) -> None:
    taken.start(VM_DISK_SIZE="200M")
    request.save(taken.place, Restore("early", KEEP))
    assert taken.start(VM_DISK_SIZE="200M").virtual_size == 200 * MIB
    assert holds(taken.disk, 9, "8M")
    assert holds(taken.disk, 0, "199M")


@contextmanager
def in_use(made: Volumes) -> Iterator[None]:
    argv = ["qemu-io", "-f", "qcow2", str(made.disk)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.read(len("qemu-io>")) == b"qemu-io>"
        yield
        holder.stdin.close()


def test_disk_in_use_is_busy(taken: Volumes) -> None:
    with in_use(taken):
        with pytest.raises(Busy, match="another process has it open"):
            offline.create(taken.place, "late", "", None)
        with pytest.raises(Busy):
            offline.restore(taken.place, "early", KEEP, None)
        assert listed(taken) == {"early": How.OFFLINE}


@pytest.fixture
def full(taken: Volumes) -> Iterator[Volumes]:
    """The pet on a volume without space for anything."""
    folder, aside = taken.place.folder, taken.folder / "aside"
    folder.rename(aside)
    folder.mkdir()
    with tmpfs.mounted(folder, "size=8m"):
        for each in aside.iterdir():
            run("cp", "--sparse=always", each, folder)
        tmpfs.fill(folder)
        yield taken


def test_full_volume_is_told_and_harms_nothing(full: Volumes) -> None:
    before = content_of(full)
    with pytest.raises(StorageError, match=r"too little space in .*/pet"):
        offline.create(full.place, "late", "", None)
    assert content_of(full) == before
    request_kept = Restore("early", KEEP)
    (full.place.folder / "fill").write_bytes(b"")
    request.save(full.place, request_kept)
    free = os.statvfs(full.place.folder)
    (full.place.folder / "fill").write_bytes(bytes(free.f_bavail * free.f_frsize))
    with pytest.raises(StorageError, match=r"cannot be restored: .*too little space") as caught:
        pending.carry_out(full.settings(), request_kept, None)
    assert str(full.place.request) in caught.value.hint
    assert request.load(full.place) == request_kept
    (full.place.folder / "fill").unlink()
    full.start()
    assert request.load(full.place) is None
    assert holds(full.disk, 9, "8M")
    check(full.disk)


def content_of(made: Volumes) -> bool:
    return holds(made.disk, 3, "8M") and holds(made.disk, 7, "1M")


def test_request_is_carried_out_once(taken: Volumes) -> None:
    request.save(taken.place, Restore("early", KEEP))
    taken.start()
    assert holds(taken.disk, 9, "8M")
    write(taken.disk, 5, "8M")
    taken.start()
    assert holds(taken.disk, 5, "8M")
    assert set(listed(taken)) == {"early", KEEP}


def test_what_is_asked_for_is_not_removed_or_replaced(taken: Volumes) -> None:
    offline.create(taken.place, "late", "", None)
    offline.ask(taken.place, Restore("early", KEEP))
    for name in ("early", "late"):
        with pytest.raises(Busy, match="told to restore the snapshot early first"):
            offline.delete(taken.place, name, None)
        with pytest.raises(Busy, match="told to restore the snapshot early first"):
            offline.ask(taken.place, Restore(name, ""))
    assert request.load(taken.place) == Restore("early", KEEP)
    taken.start()
    assert set(listed(taken)) == {"early", "late", KEEP}


def test_nothing_is_asked_of_a_vm_that_was_started_meanwhile(taken: Volumes) -> None:
    with pytest.raises(InputMissing):
        offline.ask(taken.place, Restore("late", ""))
    with in_use(taken), pytest.raises(Busy, match="in use by another process"):
        offline.ask(taken.place, Restore("early", KEEP))
    assert request.load(taken.place) is None
    taken.start()
    assert holds(taken.disk, 3, "8M")


def test_request_for_what_is_gone_stops_the_start(taken: Volumes) -> None:
    request.save(taken.place, Restore("late", ""))
    with pytest.raises(InputMissing, match="cannot be restored"):
        taken.start()
    taken.place.request.write_text("{")
    with pytest.raises(StorageError, match="cannot be understood"):
        taken.start()


def test_start_that_dies_at_any_step_restores_once_in_the_end(tmp_path: Path) -> None:
    made = volumes(tmp_path / "first")
    offline.create(made.place, "early", "", None)
    write(made.disk, 3, "8M")
    for step in range(1, 60):
        copy = made.again(tmp_path / f"step{step}")
        request.save(copy.place, Restore("early", KEEP))
        status = die_at(step, "start", copy)
        copy.start()
        assert holds(copy.disk, 9, "8M"), step
        # The note on what was kept may be what was cut off.
        names = [each["name"] for each in info(copy.disk)["snapshots"]]
        assert names == ["early", KEEP], step
        assert request.load(copy.place) is None
        check(copy.disk)
        offline.restore(copy.place, KEEP, "", None)
        assert holds(copy.disk, 3, "8M"), step
        if status == 0:
            return
    pytest.fail("it never came to its end")


def test_qemu_img_killed_between_its_writes_leaves_a_disk_that_can_be_restored(
    tmp_path: Path,
) -> None:
    """Where the whole container is killed, its qemu-img is too."""
    made = volumes(tmp_path / "first")
    offline.create(made.place, "early", "", None)
    write(made.disk, 3, "8M", "20M")
    before = content(made.disk)
    for verb, snapshot in (("create", KEEP), ("restore", "early")):
        for nth in range(1, 60):
            copy = made.again(tmp_path / f"{verb}{nth}")
            status = killed_at(nth, offline.argv(copy.place, verb, snapshot))
            if verb == "create":
                # Nothing that the guest would read is another one.
                assert content(copy.disk) == before, nth
            offline.restore(copy.place, "early", "" if verb == "restore" else KEEP, None)
            assert holds(copy.disk, 9, "8M"), (verb, nth)
            check(copy.disk)
            if verb == "create":
                offline.restore(copy.place, KEEP, "", None)
                assert content(copy.disk) == before, nth
            shutil.rmtree(copy.folder)
            if status == 0:
                assert nth > 2
                break
        else:
            pytest.fail("it never came to its end")
