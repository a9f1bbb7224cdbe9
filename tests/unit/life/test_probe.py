"""What is made of startvm's answers to Kubernetes' questions."""

from typing import Any

import pytest

from launcher.life.probe import Question, judge, unasked
from launcher.life.state import Phase, State

RUNNING = {"phase": "running", "since": 1, "reason": "", "qemu": "running", "agent": None}
FULL = {**RUNNING, "phase": "paused", "reason": "no space left", "qemu": "io-error"}


@pytest.mark.parametrize(
    ("phase", "wanted"),
    [
        (Phase.STARTING, {"startup": False, "ready": False, "alive": True}),
        (Phase.STOPPING, {"startup": True, "ready": False, "alive": True}),
        (Phase.OFF, {"startup": True, "ready": False, "alive": True}),
    ],
)
def test_while_there_is_no_qemu_to_ask(phase: Phase, wanted: dict[Question, bool]) -> None:
    found = State(phase, 1, "why")
    for question, is_yes in wanted.items():
        assert unasked(question, found) == (is_yes, f"{phase}: why")


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED])
def test_started_is_started(phase: Phase) -> None:
    assert unasked("startup", State(phase, 1)).is_yes


@pytest.mark.parametrize(
    ("answer", "ready", "alive"),
    [
        (RUNNING, (True, "running"), (True, "running")),
        (FULL, (False, "paused: no space left"), (True, "paused: no space left")),
        # Between QEMU's pause and its event's arrival.
        ({**RUNNING, "qemu": "io-error"}, (False, "QEMU says io-error"), (True, "running")),
        (
            {**RUNNING, "qemu": None},
            (False, "QEMU's monitor does not answer"),
            (False, "QEMU's monitor does not answer"),
        ),
        (
            {**FULL, "qemu": None},
            (False, "QEMU's monitor does not answer"),
            (False, "QEMU's monitor does not answer"),
        ),
    ],
)
def test_by_qemus_word(
    answer: dict[str, Any], ready: tuple[bool, str], alive: tuple[bool, str]
) -> None:
    assert judge("ready", answer, agent=False) == ready
    assert judge("alive", answer, agent=False) == alive


def test_by_the_agents_word() -> None:
    assert judge("ready", {**RUNNING, "agent": True}, agent=True) == (
        True,
        "running, and the guest agent answers",
    )
    for silent in (False, None):
        assert not judge("ready", {**RUNNING, "agent": silent}, agent=True).is_yes
        assert judge("alive", {**RUNNING, "agent": silent}, agent=True).is_yes
    assert judge("ready", FULL, agent=True).text == "paused: no space left"
