"""Kubernetes' three questions about a VM, answered from beside startvm.

They are asked every few seconds, so nothing here imports anything dear.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from launcher.host.errors import InputMissing, LauncherError
from launcher.life import state
from launcher.life.control import Line, Silent
from launcher.life.state import Phase, State

Question = Literal["startup", "ready", "alive"]
QUESTIONS: tuple[Question, ...] = ("startup", "ready", "alive")

# Seconds for startvm's answer, which waits for QEMU's.
PATIENCE = 6.0

# In these startvm has no QEMU to ask, or the guest's end to see to, and need not answer.
UNWATCHED = (Phase.STARTING, Phase.STOPPING, Phase.OFF)


class Verdict(NamedTuple):
    """`text` is one line that tells why."""

    is_yes: bool
    text: str


def ask(question: Question, run_dir: Path, *, agent: bool = False) -> Verdict:
    """Find out.

    `startup`: the guest has been started once. `ready`: it runs now, and with `agent` its agent
    answers too. `alive`: startvm and QEMU's monitor answer; a VM that is paused or off is alive.
    """
    try:
        with Line(run_dir, PATIENCE) as line:
            found = state.read(run_dir)
            if found is None:
                return Verdict(False, "startvm has not begun")
            if found.phase in UNWATCHED or question == "startup":
                return unasked(question, found)
            return judge(question, line.ask("status", agent=agent), agent=agent)
    except InputMissing as err:
        return Verdict(False, err.message)
    except Silent as err:
        return Verdict(False, err.message)
    except LauncherError as err:
        return Verdict(False, f"startvm: {err}")


def unasked(question: Question, found: State) -> Verdict:
    """What the state file alone says, startvm being there (pure)."""
    match question:
        case "startup":
            return Verdict(found.phase is not Phase.STARTING, str(found))
        case "ready":
            return Verdict(False, str(found))
        case "alive":
            return Verdict(True, str(found))


def judge(question: Question, answer: dict[str, Any], *, agent: bool) -> Verdict:
    """What startvm's answer says (pure)."""
    found = state.parse(answer)
    if answer["qemu"] is None:
        return Verdict(False, "QEMU's monitor does not answer")
    if question == "alive":
        return Verdict(True, str(found))
    if found.phase is not Phase.RUNNING:
        return Verdict(False, str(found))
    if answer["qemu"] != "running":
        return Verdict(False, f"QEMU says {answer['qemu']}")
    if agent and not answer["agent"]:
        return Verdict(False, "running, but the guest agent does not answer")
    return Verdict(True, "running, and the guest agent answers" if agent else str(found))
