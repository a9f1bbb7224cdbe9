"""The state file, RUN_DIR/state.json: what a probe or a person may know without asking QEMU."""

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import StorageError


class Phase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    OFF = "off"


class State(NamedTuple):
    """`since`: seconds since the epoch; `reason`: why, in words, where it is not plain."""

    phase: Phase
    since: int
    reason: str = ""


def write(run_dir: Path, phase: Phase, reason: str = "") -> None:
    """Replace the file as a whole, so that a reader never sees half of it.

    :raise StorageError: when RUN_DIR is full, say.
    """
    state = State(phase, int(time.time()), reason)
    temporary = run_dir / "state.json.new"
    try:
        temporary.write_text(json.dumps(state._asdict()) + "\n")
        temporary.replace(run_dir / "state.json")
    except OSError as err:
        raise StorageError(f"{temporary} cannot be written: {err.strerror}") from err


def read(run_dir: Path) -> State | None:
    """The state as last written, or None where no VM was started."""
    try:
        fields = json.loads((run_dir / "state.json").read_text())
    except FileNotFoundError:
        return None
    return State(Phase(fields["phase"]), fields["since"], fields["reason"])
