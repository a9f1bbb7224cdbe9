"""The states between two bases, and what is decided about each."""

from pathlib import Path

import pytest

from launcher.disk.plan import Found, PetPlan, plan
from launcher.disk.record import Former
from launcher.host.errors import ImageRefused
from launcher.image.format.qcow2.header import Header
from launcher.image.store.record import Address
from tests.unit.disk.sample import GIB, UUID, base, header, record, settings

NEW_DIGEST = "cd" * 32
NEW_PATH = f"/shared/sha256-{NEW_DIGEST}.qcow2"
MOVED = record().moved(Former(NEW_DIGEST, Path(NEW_PATH), 300_000_000, Address("/new.qcow2")))


def moved(found: Found) -> PetPlan:
    on = base(path=Path(NEW_PATH), digest=NEW_DIGEST)
    return plan(settings(IMG_SOURCE="/new.qcow2"), found, on)


def test_disk_moved_to_another_base_before_the_record_is_passed_over() -> None:
    found = Found(record(), header(), header(backing=NEW_PATH), leftover=True)
    assert plan(settings(), found, base()).action == "use"


def test_disk_moved_to_another_base_after_the_record_is_finished() -> None:
    found = Found(MOVED, header(size=10 * GIB), header(9 * GIB, NEW_PATH), leftover=True)
    finished = moved(found)
    assert (finished.action, finished.size, finished.uuid) == ("finish", 9 * GIB, UUID)


@pytest.mark.parametrize("disk", [header(), header(backing="/shared/third.qcow2")])
def test_record_of_another_base_without_the_disk_on_it_is_refused(disk: Header) -> None:
    for new_disk in (None, header(backing="/shared/third.qcow2")):
        with pytest.raises(ImageRefused, match="its record says"):
            moved(Found(MOVED, disk, new_disk, leftover=new_disk is not None))


def test_going_back_that_was_cut_off_before_the_record_is_passed_over() -> None:
    found = Found(MOVED, header(backing=NEW_PATH), header(), leftover=True)
    assert moved(found).action == "use"
