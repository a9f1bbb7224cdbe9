"""What the next start is to do is read as it was written, or else nothing is started."""

from pathlib import Path

import pytest

from launcher.disk import request
from launcher.disk.place import Place
from launcher.disk.request import Rebase, Request, Restore
from launcher.host.errors import StorageError
from launcher.image.store.record import Address

SECRET = "https://me:secret@example.org/a.qcow2?token=secret"
REQUESTS = [
    Restore("early", "before-restore-x"),
    Restore("early", ""),
    Rebase("ab" * 32, Address("/image.qcow2")),
    Rebase("ab" * 32, Address.of(SECRET)),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, "web-3")


@pytest.mark.parametrize("asked", REQUESTS)
def test_it_is_read_as_it_was_written(place: Place, asked: Request) -> None:
    request.save(place, asked)
    assert request.load(place) == asked
    assert "secret" not in place.request.read_text()
    request.forget(place)
    assert request.load(place) is None
    assert list(place.folder.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 2, "restore": "a", "keep": ""}', '{"format": 1}']
)
def test_what_is_not_understood_is_not_passed_over(place: Place, text: str) -> None:
    place.request.write_text(text)
    with pytest.raises(StorageError, match="cannot be understood"):
        request.load(place)
    assert place.request.read_text() == text


def test_it_cannot_be_another_pet_s_file() -> None:
    """A VM's name may have dots, and its own files end otherwise."""
    names = [Place(Path("/pet"), "web"), Place(Path("/pet"), "web.qcow2")]
    files = [
        {each.disk, each.record, each.new_disk, each.new_record, each.notes, each.request}
        | {each.former, each.rebasing}
        for each in names
    ]
    assert not files[0] & files[1]
