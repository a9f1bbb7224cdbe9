"""The record is read back as it was written, or refused and left as it was."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from launcher.disk import record as records
from launcher.disk.place import Place
from launcher.disk.record import Former
from launcher.host.errors import Busy, LauncherError, StorageError
from launcher.image.store.record import Address
from tests.conftest import Golden
from tests.unit.disk.sample import record


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, "web-3")


def test_saved_record_is_loaded(place: Place) -> None:
    saved = record(source=Address.of("https://user:secret@example.org/a.qcow2?token=secret"))
    records.save(place, saved)
    assert records.load(place) == saved
    assert "secret" not in place.record.read_text()
    assert [each.name for each in place.folder.iterdir()] == ["web-3.json"]


@pytest.fixture(params=[0, errno.EPERM, errno.ENOSYS], ids=["links", "no links", "FUSE"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has hard links, or none."""

    def link(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    if request.param:
        monkeypatch.setattr(os, "link", link)


@pytest.mark.usefixtures("links")
def test_a_new_pet_s_record_is_written_once(place: Place) -> None:
    first, second = record(uuid="first"), record(uuid="second")
    records.begin(place, first)
    with pytest.raises(Busy, match=r"somebody else has made the pet web-3 .*web-3\.json is there"):
        records.begin(place, second)
    assert records.load(place) == first


def test_a_record_that_has_come_to_be_after_all_is_ours(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS made the link, and its answer was lost."""
    link = os.link

    def twice(old: Path, new: Path) -> None:
        link(old, new)
        link(old, new)

    monkeypatch.setattr(os, "link", twice)
    records.begin(place, record())
    assert records.load(place) == record()


def test_a_crash_between_the_two_names_of_a_record_does_not_harm_the_next_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.begin(place, record(uuid="old"))
    os.link(place.record, place.new_record)
    monkeypatch.setattr(Path, "rename", lambda *_: pytest.fail("the power was cut"))
    with pytest.raises(pytest.fail.Exception):
        records.save(place, record(uuid="new"))
    loaded = records.load(place)
    assert loaded
    assert loaded.uuid == "old"


def test_format(place: Place, golden: Golden) -> None:
    records.save(place, record())
    golden("disk/record.json", place.record.read_text())


def test_record_of_a_pet_that_was_moved_is_loaded(place: Place) -> None:
    to = Former("cd" * 32, Path("/shared/new.qcow2"), 7, Address("/new.qcow2"))
    moved = record().moved(to)
    records.save(place, moved)
    assert records.load(place) == moved
    assert (moved.base, moved.former) == (to, record().base)
    assert moved._replace(**record().base._asdict(), former=None) == record()


def test_no_record(place: Place) -> None:
    assert records.load(place) is None


def test_failed_save_leaves_the_old_record(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    records.save(place, record())

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageError, match="too little space"):
        records.save(place, record(mac="06:fe:09:09:09:09"))
    assert records.load(place) == record()


def test_unfinished_save_is_no_record(place: Place) -> None:
    place.new_record.write_text('{"format": 1, "na')
    assert records.load(place) is None
    records.save(place, record())
    assert records.load(place) == record()


def whole(**changes: Any) -> str:
    base = {"sha256": "ab", "path": "/shared/x", "size": 1}
    entry = {
        "format": 1,
        "name": "web-3",
        "uuid": "u",
        "mac": "m",
        "created": "c",
        "source": "s",
        "base": base,
    }
    return json.dumps({key: value for key, value in (entry | changes).items() if value != "gone"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be understood"),
        ("{", "cannot be understood"),
        ("[]", "cannot be understood"),
        ("null", "cannot be understood"),
        ("\xff", "cannot be understood"),
        ("[" * 50000, "cannot be understood"),
        (" " * 70000, "more than 65536 bytes"),
        (whole(format="gone"), "cannot be understood"),
        (whole(uuid="gone"), "uuid"),
        (whole(uuid=7), "uuid is 7"),
        (whole(mac=""), "mac is ''"),
        (whole(base={}), "sha256"),
        (whole(base={"sha256": "ab", "path": "/x", "size": "1"}), "size is '1'"),
        (whole(format=2), "format 2; 1 is known"),
        (whole(format=2, base="of another shape"), "format 2; 1 is known"),
        (whole(name="web-4"), "that of the pet 'web-4'"),
    ],
)
def test_refused_record_is_left_alone(place: Place, text: str, words: str) -> None:
    place.record.write_bytes(text.encode("latin-1"))
    with pytest.raises(StorageError) as error:
        records.load(place)
    assert words in str(error.value)
    assert str(place.record) in str(error.value)
    assert error.value.hint
    assert place.record.read_bytes() == text.encode("latin-1")


def test_text_of_the_table_is_a_record(place: Place) -> None:
    """Else the cases above could be refused for another reason than theirs."""
    place.record.write_text(whole(later_key=1))
    assert records.load(place) is not None


def test_unreadable_record(place: Place) -> None:
    place.record.mkdir()
    with pytest.raises(LauncherError, match=r"web-3\.json cannot be read"):
        records.load(place)


def test_mac_is_the_names_own() -> None:
    assert records.mac_of("web-3") == "06:fe:9f:11:eb:4e"
    assert len({records.mac_of(f"web-{number}") for number in range(1000)}) == 1000


def test_new_uuid_is_random() -> None:
    first, second = records.new_uuid(), records.new_uuid()
    assert first != second
    assert first[14] == "4"
