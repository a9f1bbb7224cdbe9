"""The base of a pet: there, and known to be needed, before the pet is made."""

import os
from pathlib import Path

import pytest

from launcher.disk import begun
from launcher.disk import record as records
from launcher.disk.place import Place
from launcher.disk.plan import PetPlan
from launcher.host.errors import InputMissing, SettingsError, StorageError
from launcher.image.base import Base
from launcher.image.store import bases, prune, references
from launcher.image.store.references import Reference
from launcher.life import needed
from launcher.life.needed import Need
from tests.unit.life.needing import DIGEST, UUID, Pod, made

OTHER = "6b1e8d1c-2f5e-4b8e-9d55-5b8f0a5b7f22"


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return made(tmp_path)


def test_a_new_pet(pod: Pod) -> None:
    pod.secure(pod.plan())
    assert pod.fetches == 1
    (reference,) = references.read(pod.volume.path, DIGEST)
    assert (reference.name, reference.uuid, reference.namespace) == ("web-0", UUID, "shop")
    assert reference.host == os.uname().nodename
    assert reference.first == reference.last != ""
    assert not prune.base(pod.volume.path, DIGEST)


def test_it_is_written_down_before_the_pet_is_made(pod: Pod) -> None:
    with pod.need(pod.plan()).secured(pod.fetch):
        assert pod.references() == [UUID]


def test_a_base_that_is_there_is_not_fetched(pod: Pod) -> None:
    pod.secure(pod.plan(pod.volume.adopt()))
    assert pod.fetches == 0


def test_a_base_that_is_removed_at_the_last_moment_is_fetched_again(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = references.write

    def removed(shared: Path, reference: Reference, *, lasting: bool = False) -> None:
        monkeypatch.setattr(references, "write", write)
        assert prune.base(shared, DIGEST)
        write(shared, reference, lasting=lasting)

    monkeypatch.setattr(references, "write", removed)
    pod.secure(pod.plan(pod.volume.adopt()))
    assert pod.fetches == 1
    assert pod.references() == [UUID]
    assert bases.load(pod.volume.path, DIGEST)


def test_the_base_of_a_pet_that_is_there_is_not_fetched_behind_its_back(pod: Pod) -> None:
    """Its source may have another image by now."""
    base = pod.volume.adopt()
    assert prune.base(pod.volume.path, DIGEST)
    with pytest.raises(InputMissing, match="of the pet web-0 was removed this moment"):
        pod.secure(pod.plan(base, kept=True))
    assert pod.fetches == 0


def test_a_pet_of_an_older_berth_is_written_down_before_it_starts(pod: Pod) -> None:
    with pod.need(pod.plan(pod.volume.adopt(), kept=True)).secured(pod.fetch):
        assert pod.references() == [UUID]


def test_a_pet_that_is_not_made_lets_go_of_nothing_that_was_there(pod: Pod) -> None:
    """Another one may have its name in another cluster, and its UUID from the same metadata."""
    pod.secure(pod.plan())
    second = Pod(pod.volume, pod.folder / "second")
    second.folder.mkdir()
    with pytest.raises(KeyboardInterrupt), pod.need(second.plan()).secured(pod.fetch):
        raise KeyboardInterrupt
    assert pod.references() == [UUID]


def test_a_pet_with_the_uuid_of_another_lets_go_of_its_own_need_only(pod: Pod) -> None:
    pod.secure(pod.plan())
    plan = pod.plan()._replace(place=Place(pod.folder, "web-1"))
    with pytest.raises(KeyboardInterrupt), pod.need(plan).secured(pod.fetch):
        raise KeyboardInterrupt
    (reference,) = references.read(pod.volume.path, DIGEST)
    assert reference.name == "web-0"


def test_a_copy_that_is_moved_to_another_base_lets_go_of_its_own_need_only(pod: Pod) -> None:
    """It has the UUID of the pet that it was copied from."""
    plan = pod.plan(pod.volume.adopt(), kept=True)
    pod.secure(plan)
    copy = plan.place._replace(folder=pod.folder / "copy")
    copy.folder.mkdir()
    with Need(pod.volume.path, plan._replace(place=copy), "test").secured(pod.fetch):
        assert pod.references() == [UUID, UUID]
    assert plan.found.record
    records.save(copy, plan.found.record._replace(base_digest="1" * 64))
    settings = {"PET_DIR": str(copy.folder), "VM_NAME": "web-0", "POD_NAMESPACE": "test"}
    needed.let_go(pod.volume.settings(**settings))
    (reference,) = references.read(pod.volume.path, DIGEST)
    assert (reference.namespace, reference.uuid) == ("shop", UUID)


@pytest.mark.parametrize("error", [SettingsError(["too small"]), KeyboardInterrupt()])
def test_a_pet_that_is_not_made_needs_no_base(pod: Pod, error: BaseException) -> None:
    with pytest.raises(type(error)), pod.need(pod.plan()).secured(pod.fetch):
        raise error
    assert pod.references() == []
    assert not references.folder(pod.volume.path, DIGEST).exists()


class Killed(BaseException):
    """Ends a start as SIGKILL does: nothing is cleaned up."""


def killed(pod: Pod, plan: PetPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is killed between the reference and the record."""
    with monkeypatch.context() as patch:
        patch.setattr(references, "remove", lambda *_: None)
        patch.setattr(begun, "remove", lambda _: None)
        with pytest.raises(Killed), pod.need(plan).secured(pod.fetch):
            raise Killed


def test_a_making_that_was_killed_needs_nothing_once_it_is_made_anew(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(pod, pod.plan(), monkeypatch)
    assert pod.references() == [UUID]
    pod.secure(pod.plan()._replace(uuid=OTHER))
    assert pod.references() == [OTHER]
    assert [each.name for each in pod.folder.iterdir()] == ["web-0.json"]


def test_the_same_name_on_another_volume_is_another_pet(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another cluster, or on a new volume while the old one is kept."""
    killed(pod, pod.plan(), monkeypatch)
    second = Pod(pod.volume, pod.folder / "second")
    second.folder.mkdir()
    second.secure(second.plan()._replace(uuid=OTHER))
    assert set(pod.references()) == {UUID, OTHER}


def test_what_another_launcher_is_making_is_not_taken_back(pod: Pod) -> None:
    with pod.need(pod.plan()).secured(pod.fetch):
        with pod.need(pod.plan()._replace(uuid=OTHER)).secured(pod.fetch):
            pass
        assert set(pod.references()) == {UUID, OTHER}


def test_one_that_was_killed_when_it_was_a_pet_still_is_one(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = pod.plan()
    killed(pod, plan, monkeypatch)
    plan.place.record.touch()
    pod.secure(pod.plan()._replace(uuid=OTHER))
    assert UUID in pod.references()
    pod.need(pod.plan(pod.volume.adopt(), kept=True)).renew(pod.volume.adopt())
    assert not plan.place.begun.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"digest": ""}'])
def test_a_note_that_says_nothing(pod: Pod, text: str) -> None:
    plan = pod.plan()
    plan.place.begun.write_text(text)
    pod.secure(plan)
    assert pod.references() == [UUID]
    assert not plan.place.begun.exists()


def test_one_that_was_made_as_far_as_its_record_does(pod: Pod) -> None:
    plan = pod.plan()
    plan.place.record.touch()
    failed = StorageError("its disk could not be named")
    with pytest.raises(StorageError), pod.need(plan).secured(pod.fetch):
        raise failed
    assert pod.references() == [UUID]


def test_a_fetch_that_fails_leaves_no_note(pod: Pod) -> None:
    def fail() -> Base:
        raise StorageError("the server is gone")

    with pytest.raises(StorageError), pod.need(pod.plan()).secured(fail):
        raise AssertionError("there is no base")
    assert not pod.plan().place.begun.exists()


def test_each_start_is_written_down(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needed, "rfc3339", lambda: "the first time")
    base = pod.volume.adopt()
    pod.secure(pod.plan(base))
    monkeypatch.setattr(needed, "rfc3339", lambda: "later")
    plan = pod.plan(base, kept=True)
    pod.secure(plan)
    pod.need(plan).renew(base)
    (reference,) = references.read(pod.volume.path, DIGEST)
    assert (reference.first, reference.last) == ("the first time", "later")
