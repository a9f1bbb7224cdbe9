"""What a power cut finds: a name is given only to what would survive, and is then made to last.

A kill leaves whatever was written; a power cut only what was synced, in any order. So it is the
order of syncs and names that is looked at here.
"""

import errno
import os
from pathlib import Path

import pytest

from launcher.disk import export, request, whole
from launcher.disk.request import Restore
from launcher.disk.snapshot import offline
from launcher.image.source import parts
from launcher.image.source.kept import Files
from launcher.image.source.parts import Listing
from launcher.image.source.ranges import Pinned
from launcher.image.store.record import Address
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.steps import recorded

# A small file that replaces one of its name.
NOTES = [
    "sync web-3.qcow2.snapshots.new",
    "rename web-3.qcow2.snapshots.new web-3.qcow2.snapshots",
    "sync folder",
]
RECORD = ["sync web-3.json.new", "rename web-3.json.new web-3.json", "sync folder"]


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    return volumes(tmp_path / "first")


def remove(made: Volumes) -> None:
    """The pet, with all that is beside it."""
    for each in made.place.folder.iterdir():
        each.unlink()


@pytest.mark.parametrize("has_links", [True, False])
def test_new_pet(made: Volumes, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    remove(made)
    if not has_links:
        monkeypatch.setattr(os, "link", refuse)
    with recorded(made.place.folder) as steps:
        made.start()
    published = ["link web-3.json.new web-3.json", "unlink web-3.json.new"]
    assert steps == [
        *("sync web-3.begun", "sync folder"),
        *("qemu-img create", "sync web-3.qcow2.new"),
        "sync web-3.json.new",
        *(published if has_links else ["rename web-3.json.new web-3.json"]),
        "sync folder",
        *("rename web-3.qcow2.new web-3.qcow2", "sync folder"),
        "unlink web-3.begun",
    ]


def test_growth(made: Volumes) -> None:
    with recorded(made.place.folder) as steps:
        made.start(VM_DISK_SIZE="200M")
    assert steps == ["qemu-img resize", "sync web-3.qcow2"]


def test_snapshot_and_its_note(made: Volumes) -> None:
    with recorded(made.place.folder) as steps:
        offline.create(made.place, "early", "", None)
    assert steps == ["qemu-img snapshot", "sync web-3.qcow2", *NOTES]
    with recorded(made.place.folder) as steps:
        offline.delete(made.place, "early", None)
    assert steps == ["qemu-img snapshot", "sync web-3.qcow2", *NOTES]


def test_restore_is_on_the_disk_before_it_is_forgotten(made: Volumes) -> None:
    offline.create(made.place, "early", "", None)
    request.save(made.place, Restore("early", "before-restore-x"))
    with recorded(made.place.folder) as steps:
        made.start()
    assert steps == [
        *("qemu-img snapshot", "sync web-3.qcow2", *NOTES),
        *("qemu-img snapshot", "sync web-3.qcow2"),
        *("qemu-img check", "sync web-3.qcow2"),
        *NOTES,
        *("unlink web-3.qcow2.request", "sync folder"),
    ]


def test_request(made: Volumes) -> None:
    with recorded(made.place.folder) as steps:
        request.save(made.place, Restore("early", ""))
    assert steps == [
        "sync web-3.qcow2.request.new",
        "rename web-3.qcow2.request.new web-3.qcow2.request",
        "sync folder",
    ]


def test_moved_pet(made: Volumes) -> None:
    """The copy, the record that names it, the old disk's name, and the new one's."""
    made.image("two", "80M", at1M=6)
    made.base("two")
    with recorded(made.place.folder) as steps:
        made.move("two")
    decided = steps.index("qemu-img compare") + 1
    assert steps[decided:] == [
        "sync web-3.qcow2.rebasing",
        "rename web-3.qcow2.rebasing web-3.qcow2.new",
        "sync folder",
        *RECORD,
        "rename web-3.qcow2 web-3.qcow2.before-rebase",
        "sync folder",
        "rename web-3.qcow2.new web-3.qcow2",
        "sync folder",
    ]


def test_pet_that_goes_back_and_is_confirmed(made: Volumes) -> None:
    made.image("two", "80M", at1M=6)
    made.move("two")
    with recorded(made.place.folder) as steps:
        made.undo()
    assert steps == [
        "rename web-3.qcow2.before-rebase web-3.qcow2.new",
        "sync folder",
        *RECORD,
        "rename web-3.qcow2 web-3.qcow2.before-rebase",
        "sync folder",
        "rename web-3.qcow2.new web-3.qcow2",
        "sync folder",
    ]
    with recorded(made.place.folder) as steps:
        made.confirm()
    assert steps == ["unlink web-3.qcow2.before-rebase", "sync folder", *RECORD]


def test_export(made: Volumes, tmp_path: Path) -> None:
    found = whole.look(made.place, made.settings().shared_dir)
    planned = export.plan(
        found, made.place, tmp_path / "out.qcow2", snapshot="", in_use=False, compress=False
    )
    with recorded(tmp_path) as steps:
        export.run(planned, found, None)
    assert steps == [
        "qemu-img measure",
        "qemu-img convert",
        "qemu-img check",
        "sync out.qcow2.part",
        "link out.qcow2.part out.qcow2",
        "sync folder",
        "unlink out.qcow2.part",
    ]


def test_list_of_what_was_downloaded(tmp_path: Path) -> None:
    """Else it could be of other data, or half of one, when the download goes on."""
    address = Address.of("https://example.org/disk.qcow2")
    files = Files(tmp_path, "key", address, True, lambda: None)
    pinned = Pinned(3 * parts.PART, '"1"')
    os.close(files.begin(pinned))
    listing = Listing(address, pinned, parts.PART, files.data.stat().st_ino, (0, 2))
    with recorded(tmp_path) as steps:
        files.write(listing)
    assert steps == [
        "sync fetch-key.json.new",
        "rename fetch-key.json.new fetch-key.json",
        "sync folder",
    ]
    assert files.read() == listing
