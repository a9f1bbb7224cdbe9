"""A pet that is changed between the look at it and QEMU's lock on its disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.disk import request, stale
from launcher.disk.request import Restore
from launcher.disk.snapshot import offline
from launcher.host.errors import Busy
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.qcow2 import run


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    made = volumes(tmp_path)
    made.image("two", at1M=6)
    return made


def test_pet_that_stays_as_it_is(made: Volumes) -> None:
    for environ in ({}, {"VM_DISK_SIZE": "200M"}, {}):
        stale.refuse(made.place, made.start(**environ))
    made.move("two")
    stale.refuse(made.place, made.start())


def undo_in_part(made: Volumes) -> None:
    """Killed between the two names that change."""
    made.undo()
    made.disk.rename(made.place.new_disk)


def shrink(made: Volumes) -> None:
    run("qemu-img", "resize", "-q", "--shrink", "-f", "qcow2", made.disk, "64M")


@pytest.mark.parametrize(
    "change",
    [
        Volumes.undo,
        undo_in_part,
        shrink,
        lambda made: made.disk.unlink(),
        lambda made: made.place.record.unlink(),
    ],
    ids=["undone", "half undone", "smaller", "no disk", "no record"],
)
def test_pet_that_changes_is_told(made: Volumes, change: Callable[[Volumes], None]) -> None:
    made.move("two")
    ready = made.start()
    change(made)
    with pytest.raises(Busy, match="changed while QEMU was started"):
        stale.refuse(made.place, ready)


def test_disk_of_another_base_under_its_record(made: Volumes) -> None:
    """Taken back from a copy, say: the record is the same, and so is every size."""
    ready = made.start()
    other = made.base("two").path
    run("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", other, made.disk)
    with pytest.raises(Busy, match="changed while QEMU was started"):
        stale.refuse(made.place, ready)


def test_restore_that_was_asked_for_meanwhile(made: Volumes) -> None:
    offline.create(made.place, "early", "", None)
    ready = made.start()
    request.save(made.place, Restore("early", ""))
    with pytest.raises(Busy, match="told to restore the snapshot early while QEMU"):
        stale.refuse(made.place, ready)
    assert request.load(made.place) == Restore("early", "")
