"""Looking at a pet, and the start of one that needs nothing: no program is run for either."""

import os
from pathlib import Path

import pytest

from launcher.disk import pet
from launcher.disk import record as records
from launcher.disk.place import Place
from launcher.disk.plan import Found, plan
from launcher.host.errors import Busy, ImageRefused, InputMissing, StorageError
from tests.unit.disk.sample import GIB, base, header, header_bytes, record, settings


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, "web-3")


def test_nothing(place: Place) -> None:
    assert pet.find(place) == Found()


def test_complete_pet(place: Place) -> None:
    records.save(place, record())
    place.disk.write_bytes(header_bytes())
    place.new_disk.write_bytes(b"of no interest")
    assert pet.find(place) == Found(record(), header())


def test_disk_under_way_is_read_only_with_a_record(place: Place) -> None:
    place.new_disk.write_bytes(b"cut sho")
    assert pet.find(place) == Found(leftover=True)
    records.save(place, record())
    with pytest.raises(ImageRefused, match=r"web-3\.qcow2\.new may not be used"):
        pet.find(place)
    place.new_disk.write_bytes(header_bytes())
    assert pet.find(place) == Found(record(), None, header(), leftover=True)


def test_disk_without_record(place: Place) -> None:
    place.disk.write_bytes(header_bytes())
    assert pet.find(place) == Found(None, header())


def test_disk_that_is_none(place: Place) -> None:
    place.disk.write_bytes(b"<html>404</html>")
    with pytest.raises(ImageRefused, match=r"web-3\.qcow2 may not be used"):
        pet.find(place)
    assert place.disk.read_bytes() == b"<html>404</html>"


def test_disk_that_cannot_be_read(place: Place) -> None:
    place.disk.mkdir()
    with pytest.raises(StorageError, match=r"web-3\.qcow2 cannot be read"):
        pet.find(place)


def test_volume_that_is_not_mounted(place: Place) -> None:
    with pytest.raises(InputMissing, match=r"PET_DIR='.*/missing' is not there"):
        pet.find(Place(place.folder / "missing", "web-3"))


def test_ready_pet_needs_nothing(place: Place) -> None:
    """Not even the lock, which would make a file."""
    records.save(place, record())
    place.disk.write_bytes(header_bytes())
    before = {each.name: each.stat() for each in place.folder.iterdir()}
    decided = plan(settings(PET_DIR=str(place.folder)), pet.find(place), base())
    assert pet.apply(decided) == pet.Pet(record(), place.disk, 10 * GIB)
    assert {each.name: each.stat() for each in place.folder.iterdir()} == before


def test_finishing_needs_only_a_name(place: Place) -> None:
    records.save(place, record())
    place.new_disk.write_bytes(header_bytes())
    decided = plan(settings(PET_DIR=str(place.folder)), pet.find(place), base())
    assert pet.apply(decided) == pet.Pet(record(), place.disk, 10 * GIB)
    assert pet.find(place) == Found(record(), header())
    assert not place.new_disk.exists()


def test_finishing_does_not_take_the_name_of_a_disk_that_was_not_moved(place: Place) -> None:
    """Another node has finished it, and its VM runs."""
    records.save(place, record())
    place.new_disk.write_bytes(header_bytes())
    place.disk.write_bytes(b"in use")
    with pytest.raises(Busy, match="changed while it was looked at"):
        pet.finish(place)
    assert place.disk.read_bytes() == b"in use"
    assert not place.former.exists()


def test_pet_that_changed_since_it_was_planned(place: Place) -> None:
    decided = plan(settings(PET_DIR=str(place.folder)), Found(), base())
    place.disk.write_bytes(header_bytes())
    with pytest.raises(Busy, match="changed while it was looked at"):
        pet.apply(decided)
    assert sorted(os.listdir(place.folder)) == ["web-3.lock", "web-3.qcow2"]  # noqa: PTH208


def test_plan_without_base_is_for_showing_only(place: Place) -> None:
    decided = plan(settings(PET_DIR=str(place.folder)), Found(), None)
    with pytest.raises(ValueError, match="only be shown"):
        pet.apply(decided)
