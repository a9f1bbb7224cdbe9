"""The state file, which others read at any moment."""

import json
import time
from pathlib import Path

import pytest

from launcher.host.errors import StorageError
from launcher.life.state import Phase, State, read, remember, write


@pytest.mark.parametrize("phase", Phase)
def test_what_is_written_is_read(tmp_path: Path, phase: Phase) -> None:
    write(tmp_path, phase, "the guest powered itself off")
    found = read(tmp_path)
    assert found == State(phase, found.since if found else 0, "the guest powered itself off")
    assert found.phase is phase
    assert abs(found.since - time.time()) <= 2


def test_another_reason_is_not_another_beginning(tmp_path: Path) -> None:
    write(tmp_path, Phase.STARTING, "fetched 1 %", since=1000)
    remember(tmp_path, Phase.STARTING, "fetched 2 %", since=1000)
    assert read(tmp_path) == State(Phase.STARTING, 1000, "fetched 2 %")


def test_nothing_was_started(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    assert read(tmp_path / "missing") is None


def test_one_that_reads_never_sees_a_new_file_half_written(tmp_path: Path) -> None:
    write(tmp_path, Phase.RUNNING)
    with (tmp_path / "state.json").open() as opened_before:
        write(tmp_path, Phase.STOPPING)
        assert json.load(opened_before)["phase"] == "running"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, Phase.RUNNING)

    def half(path: Path, text: str) -> int:
        with path.open("w") as file:
            file.write(text[:5])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(Path, "write_text", half)
        with pytest.raises(StorageError, match="cannot be written: No space left"):
            write(tmp_path, Phase.STOPPING)
    found = read(tmp_path)
    assert found
    assert found.phase is Phase.RUNNING


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    write(tmp_path, Phase.OFF, "off")
    found = json.loads((tmp_path / "state.json").read_text())
    assert found.keys() == {"phase", "since", "reason"}
    assert (found["phase"], found["reason"]) == ("off", "off")
