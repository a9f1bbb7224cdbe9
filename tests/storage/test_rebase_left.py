"""What a move that was killed has left goes, and nothing else."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from launcher.disk import leftover
from launcher.disk.alone import unwritten
from launcher.host.errors import Busy
from launcher.life import start
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.qcow2 import run


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    made = volumes(tmp_path)
    for each in (made.place.rebasing, made.place.new_disk):
        each.write_bytes(made.disk.read_bytes())
    return made


PET = ["web-3.json", "web-3.qcow2"]
ALL = [*PET, "web-3.qcow2.new", "web-3.qcow2.rebasing"]


def test_start_removes_it(made: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(
        accelerator=SimpleNamespace(accelerator="kvm"),
        notices=(),
        account=None,
        asked=None,
        pet=SimpleNamespace(place=made.place),
    )
    seen = []

    def vm(*_: object) -> SimpleNamespace:
        seen.append(made.names())
        return SimpleNamespace(stay=False, exit_code=0)

    monkeypatch.setattr(start, "look", lambda *_: found)
    monkeypatch.setattr(start, "run", vm)
    monkeypatch.setattr(start, "report", lambda _: None)
    assert start.start(made.settings(), ()) == 0
    assert seen == [PET]


def test_what_is_the_disk_or_the_kept_one_stays(made: Volumes) -> None:
    made.disk.rename(made.place.new_disk)
    leftover.remove(made.place)
    assert made.names() == ["web-3.json", "web-3.qcow2.new"]
    made.start()
    made.image("two", at1M=6)
    made.move("two")
    made.place.former.rename(made.place.new_disk)
    leftover.remove(made.place)
    assert made.names() == [*PET, "web-3.qcow2.new"]


def test_that_of_a_move_under_way_stays(made: Volumes) -> None:
    with unwritten(made.place), pytest.raises(Busy):
        leftover.remove(made.place)
    assert made.names() == ALL


def test_volume_that_is_read_only_is_told(made: Volumes, caplog: pytest.LogCaptureFixture) -> None:
    folder = made.place.folder
    run("mount", "--bind", folder, folder)
    try:
        run("mount", "-o", "remount,bind,ro", folder)
        leftover.remove(made.place)
    finally:
        run("umount", folder)
    assert "what a rebase left takes space" in caplog.text
    assert made.names() == ALL
