"""The state file, RUN_DIR/state.json: what a probe or a person may know without asking QEMU."""

import json
import logging
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from launcher.host.errors import StorageError

logger = logging.getLogger("startvm")


class Phase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    OFF = "off"


class State(NamedTuple):
    """`since`: when the phase began, in seconds since the epoch; `reason`: why, in words, where it
    is not plain."""

    phase: Phase
    since: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.phase}: {self.reason}" if self.reason else str(self.phase)


def write(run_dir: Path, phase: Phase, reason: str = "", since: int | None = None) -> State:
    """Replace the file as a whole, so that a reader never sees half of it.

    :param since: when the phase began, if that was before now: only the reason is another one.
    :raise StorageError: when RUN_DIR is full, say.
    """
    state = begun(phase, reason, since)
    temporary = run_dir / "state.json.new"
    try:
        temporary.write_text(json.dumps(state._asdict()) + "\n")
        temporary.replace(run_dir / "state.json")
    except OSError as err:
        raise StorageError(f"{temporary} cannot be written: {err.strerror}") from err
    return state


def begun(phase: Phase, reason: str, since: int | None) -> State:
    return State(phase, int(time.time()) if since is None else since, reason)


def remember(run_dir: Path, phase: Phase, reason: str = "", since: int | None = None) -> State:
    """The same with a warning for an error: a full disk is no reason to cut a guest off."""
    try:
        return write(run_dir, phase, reason, since)
    except StorageError as err:
        logger.warning("%s", err)
        return begun(phase, reason, since)


def read(run_dir: Path) -> State | None:
    """The state as last written, or None where no VM was started."""
    try:
        fields = json.loads((run_dir / "state.json").read_text())
    except FileNotFoundError:
        return None
    return parse(fields)


def parse(fields: Mapping[str, Any]) -> State:
    """A state from its fields by name, whatever else there is."""
    return State(Phase(fields["phase"]), fields["since"], fields["reason"])
