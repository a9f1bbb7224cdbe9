"""Bases that a pet needs while it is moved from one to another are not pruned; all others are."""

from pathlib import Path

import pytest

from launcher.disk import rebase, request
from launcher.disk import record as records
from launcher.host.errors import InputMissing, StorageError
from launcher.image.store import prune
from launcher.life import needed
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.qcow2 import content


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    made = volumes(tmp_path / "first")
    made.image("two", "80M", at1M=6)
    return made


def pruned(made: Volumes) -> set[str]:
    """Which of the bases went, of those that were there."""
    there = {each: made.base(each).digest for each in ("one", "two")}
    shared = made.common / "shared"
    return {each for each, digest in there.items() if prune.base(shared, digest)}


def test_both_until_the_move_is_confirmed(made: Volumes) -> None:
    assert pruned(made) == {"two"}
    made.move("two")
    assert pruned(made) == set()
    made.start("two")
    assert pruned(made) == set()
    made.undo()
    assert pruned(made) == set()
    made.undo()
    made.confirm()
    assert pruned(made) == {"one"}


def test_old_one_where_it_was_undone(made: Volumes) -> None:
    made.move("two")
    made.undo()
    made.confirm()
    assert pruned(made) == {"two"}


def test_old_one_where_the_move_failed(made: Volumes, monkeypatch: pytest.MonkeyPatch) -> None:
    safe = rebase.rebase_argv
    monkeypatch.setattr(rebase, "rebase_argv", lambda *given: [*safe(*given), "-u"])
    with pytest.raises(StorageError, match="would not be the same"):
        made.move("two")
    assert pruned(made) == {"two"}


def test_both_until_the_next_start_has_moved_it(made: Volumes) -> None:
    before, record = content(made.disk), records.load(made.place)
    assert record
    with needed.second(made.settings(), record, made.base("two")):
        request.save(made.place, made.to("two"))
    assert pruned(made) == set()
    made.start("two")
    assert request.load(made.place) is None
    assert pruned(made) == set()
    assert content(made.disk) == before


def test_old_one_where_the_next_start_gave_it_up(
    made: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = records.load(made.place)
    assert record
    with needed.second(made.settings(), record, made.base("two")):
        request.save(made.place, made.to("two"))

    def full(*_: object) -> None:
        raise StorageError("there is too little space")

    monkeypatch.setattr(rebase, "copy", full)
    made.start("one")
    assert pruned(made) == {"two"}


def test_one_that_went_before_it_was_written_down(made: Volumes) -> None:
    record, two = records.load(made.place), made.base("two")
    assert record
    assert prune.base(made.common / "shared", two.digest)
    with (
        pytest.raises(InputMissing, match="removed this moment"),
        needed.second(made.settings(), record, two),
    ):
        raise AssertionError("it is not there")
    assert list((made.common / "shared").glob(f"*{two.digest}*")) == []
