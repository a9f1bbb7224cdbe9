"""Commands on a machine that is the same everywhere."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest

from launcher.host import accelerator, container
from launcher.host.accelerator import Choice
from launcher.host.container import Container


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, an empty container with neither KVM nor limits."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setattr(container, "read", lambda: Container("pet-0"))
    monkeypatch.setattr(container, "mounts_only_image", lambda: False)
    monkeypatch.setattr(accelerator, "choose", lambda _: Choice("tcg", "no KVM"))


@pytest.fixture(autouse=True)
def _process() -> Iterator[None]:
    """What a command does to its process, which is also the tests', is undone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, handler in signals.items():
        signal.signal(number, handler)
