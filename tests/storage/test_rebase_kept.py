"""The disk kept from before a rebase: there when the moved one is lost, dropped only where it is
not the last one."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.host.errors import ImageRefused, InputMissing, LauncherError
from tests.storage.pet_volumes import MIB, Volumes, die_at, volumes
from tests.storage.qcow2 import content, info


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    made = volumes(tmp_path / "first")
    made.image("two", "80M", at1M=6, at20M=4)
    return made


def stands_on(made: Volumes) -> str:
    return Path(info(made.disk)["full-backing-filename"]).name


def base_gone(made: Volumes) -> None:
    made.base("two").path.unlink()


def base_altered(made: Volumes) -> None:
    with made.base("two").path.open("ab") as file:
        file.write(b"more")


def disk_gone(made: Volumes) -> None:
    made.disk.unlink()


def disk_overwritten(made: Volumes) -> None:
    made.disk.write_bytes(b"\0" * MIB)


def disk_marked(made: Volumes) -> None:
    """As corrupt: bit 1 of the incompatible features."""
    whole = bytearray(made.disk.read_bytes())
    whole[79] |= 2
    made.disk.write_bytes(whole)


DAMAGES = [base_gone, base_altered, disk_gone, disk_overwritten, disk_marked]


@pytest.mark.parametrize("damage", DAMAGES)
def test_undo_where_the_moved_disk_or_its_base_is_lost(
    made: Volumes, damage: Callable[[Volumes], None]
) -> None:
    before = content(made.disk)
    made.move("two")
    damage(made)
    made.undo()
    assert made.start("one").path == made.disk
    assert (content(made.disk), stands_on(made)) == (before, made.base("one").path.name)


@pytest.mark.parametrize("damage", [disk_gone, disk_overwritten])
def test_undo_killed_at_any_step_where_the_moved_disk_is_lost(
    tmp_path: Path, made: Volumes, damage: Callable[[Volumes], None]
) -> None:
    before = content(made.disk)
    made.move("two")
    damage(made)
    for step in range(1, 80):
        copy = made.again(tmp_path / str(step))
        status = die_at(step, "undo", copy)
        try:
            copy.start("one")
        except LauncherError:
            copy.undo()
            copy.start("one")
        assert content(copy.disk) == before, step
        if status == 0:
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("damage", [disk_gone, disk_overwritten, disk_marked])
def test_undo_to_a_disk_that_is_damaged_itself(
    made: Volumes, damage: Callable[[Volumes], None]
) -> None:
    made.move("two")
    after, here = content(made.disk), made.disk.read_bytes()
    damage(made)
    made.disk.replace(made.place.former) if made.disk.exists() else made.place.former.unlink()
    made.disk.write_bytes(here)
    with pytest.raises((ImageRefused, InputMissing)):
        made.undo()
    made.start("two")
    assert (content(made.disk), stands_on(made)) == (after, made.base("two").path.name)


def test_undo_without_the_former_base(made: Volumes) -> None:
    made.move("two")
    made.base("one").path.unlink()
    with pytest.raises(InputMissing, match=r"the base of the pet web-3 is gone: .*put that file"):
        made.undo()
    assert stands_on(made) == made.base("two").path.name


@pytest.mark.parametrize("action", ["move", "undo"])
def test_killed_at_any_step_the_last_disk_is_not_dropped(
    tmp_path: Path, made: Volumes, action: str
) -> None:
    before = content(made.disk)
    made.base("two")
    if action != "move":
        made.move("two")
    for step in range(1, 80):
        copy = made.again(tmp_path / f"{action}{step}")
        status = die_at(step, action, copy)
        # Nothing may be kept yet.
        with suppress(InputMissing):
            copy.confirm()
        copy.start()
        assert content(copy.disk) == before, step
        if status == 0:
            assert copy.names() == ["web-3.json", "web-3.qcow2"]
            return
    pytest.fail("it never came to its end")


def test_disk_kept_from_before_stays_where_the_present_one_is_damaged(made: Volumes) -> None:
    before = content(made.disk)
    made.move("two")
    disk_marked(made)
    with pytest.raises(ImageRefused, match="marked as corrupt"):
        made.confirm()
    made.disk.unlink()
    with pytest.raises(InputMissing, match="is left alone"):
        made.confirm()
    assert content(made.place.former) == before


def test_disk_under_way_that_is_not_the_kept_one_is_not_dropped(made: Volumes) -> None:
    made.move("two")
    made.place.new_disk.write_bytes(made.disk.read_bytes())
    made.confirm()
    assert made.names() == ["web-3.json", "web-3.qcow2", "web-3.qcow2.new"]
