"""`berth probe`, for kubelet's exec probes."""

import os
from collections.abc import Sequence
from pathlib import Path

from launcher.life.probe import QUESTIONS, ask


def run(words: Sequence[str]) -> int | None:
    """Answer by the exit code, 0 or 1, and one line. None for words that are not understood."""
    questions = [each for each in QUESTIONS if each in words]
    agent = "--agent" in words
    if len(questions) != 1 or len(words) != 1 + agent:
        return None
    verdict = ask(questions[0], run_dir(), agent=agent)
    print(verdict.text)
    return 0 if verdict.is_yes else 1


def run_dir() -> Path:
    """RUN_DIR as startvm would read it, without the table of settings."""
    return Path(os.environ.get("RUN_DIR", "").strip() or "/run/berth")
