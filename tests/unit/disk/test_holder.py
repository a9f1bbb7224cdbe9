"""Who a pet is said to be in use by."""

import fcntl
import json
from pathlib import Path

import pytest

from launcher.disk import holder
from launcher.disk.holder import Holder
from launcher.disk.place import Place
from launcher.host import container, storage

WEB = Holder(
    pod="web-3",
    address="10.1.2.3",
    namespace="default",
    node="n1",
    uid="11111111-2222-4333-8444-555555555555",
    boot="aa",
    since="2026-01-02T03:04:05Z",
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(container, "boot_id", lambda: "aa")
    return Place(tmp_path, "web-3")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (WEB, "the pod web-3 (10.1.2.3, in the namespace default, on the node n1) since "),
        (WEB._replace(namespace="", node=""), "the pod web-3 (10.1.2.3, on this machine) since "),
        (WEB._replace(node="", boot="bb"), "(10.1.2.3, in the namespace default, on another mach"),
    ],
)
def test_words(place: Place, found: Holder, words: str) -> None:
    assert words in str(found)
    assert str(found).endswith(" since 2026-01-02T03:04:05Z")


def test_it_is_there_as_long_as_the_pet_is_used(place: Place) -> None:
    with holder.held(place, WEB):
        assert holder.load(place) == WEB
        assert [each.name for each in place.folder.iterdir()] == ["web-3.holder.json"]
        told = holder.busy(place)
        assert told.message == f"the pet web-3 is in use by {WEB}: {place.disk} is locked"
        assert told.exit_code == 75
    assert list(place.folder.iterdir()) == []


def test_the_next_holder_s_is_left_alone(place: Place) -> None:
    other = WEB._replace(pod="web-4")
    with holder.held(place, WEB):
        entered = holder.held(place, other)
        entered.__enter__()
    assert holder.load(place) == other


def test_a_volume_that_cannot_be_written_to_keeps_nobody_from_running(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.new_holder.mkdir()
    with holder.held(place, WEB):
        pass
    assert "who uses the pet cannot be written to" in caplog.text


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", "[" * 9000, '{"pod": "a"}'])
def test_what_cannot_be_understood_is_nobody(place: Place, text: str) -> None:
    place.holder.write_text(text)
    assert holder.load(place) is None
    assert "which has not written down who it is" in holder.in_use(place)


def test_what_nobody_locks_is_nobody_s(place: Place) -> None:
    """Its holder died."""
    place.disk.write_bytes(b"disk")
    place.holder.write_text(json.dumps(WEB._asdict()))
    holder.refuse_second(place)
    assert not place.holder.exists()


def test_a_new_pet_has_no_holder(place: Place) -> None:
    holder.refuse_second(place)


def test_where_there_are_no_locks_it_is_left_to_qemu(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> bytes:
        raise OSError(37, "No locks available")

    place.disk.write_bytes(b"disk")
    place.holder.write_text(json.dumps(WEB._asdict()))
    monkeypatch.setattr(fcntl, "fcntl", unknown)
    holder.refuse_second(place)
    assert holder.load(place) == WEB


@pytest.mark.parametrize("local", [True, False])
def test_locks_that_end_at_the_node_are_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, local: bool
) -> None:
    monkeypatch.setattr(storage, "locks_stay_here", lambda path: local and path == place.folder)
    with holder.held(place, WEB):
        told = "nothing keeps a pod on another node from running the pet web-3" in caplog.text
        assert told is local
