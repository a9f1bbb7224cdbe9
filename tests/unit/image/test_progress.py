"""Progress as people see it, on a clock of the test's own."""

import logging
import sys

import pytest

from launcher.image import progress
from launcher.image.progress import MIB, Meter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (12.34 * MIB, "12.3 MiB"),
        (99.96 * MIB, "100 MiB"),
        (400 * MIB, "400 MiB"),
        (1000 * MIB, "1.0 GiB"),
        (2.1 * 1024 * MIB, "2.1 GiB"),
        (64 * 1024 * 1024 * MIB, "64.0 TiB"),
        (5000 * 1024 * 1024 * MIB, "5000 TiB"),
    ],
)
def test_size(count: float, text: str) -> None:
    assert progress.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (6.4, "6 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "speed", "text"),
    [
        (
            123 * MIB,
            400 * MIB,
            45 * MIB,
            "downloaded 123 MiB of 400 MiB (30 %), 45.0 MiB/s, 6 s left",
        ),
        (123 * MIB, None, 45 * MIB, "downloaded 123 MiB, 45.0 MiB/s"),
        (1 * MIB, 400 * MIB, 0, "downloaded 1.0 MiB of 400 MiB (0 %), 0 bytes/s"),
        (
            400 * MIB - 1,
            400 * MIB,
            MIB,
            "downloaded 400 MiB of 400 MiB (99 %), 1.0 MiB/s, 0 s left",
        ),
        (400 * MIB, 400 * MIB, MIB, "downloaded 400 MiB of 400 MiB (100 %), 1.0 MiB/s"),
    ],
)
def test_sentence(done: int, total: int | None, speed: float, text: str) -> None:
    assert progress.sentence("downloaded", done, total, speed) == text


def test_bar() -> None:
    assert progress.bar(0, 100) == "[........................] "
    assert progress.bar(50, 100) == "[############............] "
    assert progress.bar(99, 100) == "[#######################.] "
    assert progress.bar(200, 100) == "[########################] "
    assert progress.bar(50, None) == ""


def test_a_line_every_few_seconds_and_not_more() -> None:
    clock = Clock()
    lines: list[str] = []
    meter = Meter("downloaded", 100 * MIB, lines.append, every=5.0, clock=clock)
    for _ in range(60):
        clock.now += 0.5
        meter.advance(MIB)
    assert len(lines) == 6
    assert lines[0] == "downloaded 10.0 MiB of 100 MiB (10 %), 2.0 MiB/s, 45 s left"
    assert lines[-1] == "downloaded 60.0 MiB of 100 MiB (60 %), 2.0 MiB/s, 20 s left"
    assert meter.summary() == "downloaded 60.0 MiB in 30 s (2.0 MiB/s)"


def test_who_asks_meanwhile_is_told_the_same_without_a_bar() -> None:
    clock = Clock()
    lines: list[str] = []
    told: list[str] = []
    meter = Meter(
        "downloaded",
        100 * MIB,
        lines.append,
        every=5.0,
        with_bar=True,
        clock=clock,
        tell=told.append,
    )
    for _ in range(10):
        clock.now += 1
        meter.advance(4 * MIB)
    assert told == [line.partition("] ")[2] for line in lines]
    assert told[-1] == "downloaded 40.0 MiB of 100 MiB (40 %), 4.0 MiB/s, 15 s left"


def test_the_speed_is_that_of_late() -> None:
    clock = Clock()
    lines: list[str] = []
    meter = Meter("copied", None, lines.append, every=5.0, clock=clock)
    for step in range(20):
        clock.now += 5
        meter.advance(500 * MIB if step < 10 else 5 * MIB)
    assert lines[9].endswith(", 100 MiB/s")
    assert lines[-1].endswith(", 1.0 MiB/s")


def test_a_clock_that_stands_still_divides_nothing_by_zero() -> None:
    meter = Meter("copied", 10, lambda text: None, every=0.0, clock=Clock())
    assert meter.summary() == "copied 0 bytes in 0 s (0 bytes/s)"


class Screen:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self.text = ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_on_a_terminal_and_lines_elsewhere(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "BAR_EVERY", -1.0)
    monkeypatch.setattr(progress, "LOG_EVERY", -1.0)
    clock = Clock()
    with progress.shown("copied", 2 * MIB, clock=clock) as meter:
        clock.now += 1
        meter.advance(MIB)
    drawn = "copied 1.0 MiB of 2.0 MiB (50 %), 1.0 MiB/s, 1 s left"
    if terminal:
        assert screen.text == f"\r\x1b[K[############............] {drawn}\r\x1b[K"
        assert caplog.messages == ["copied 1.0 MiB in 1 s (1.0 MiB/s)"]
    else:
        assert screen.text == ""
        assert caplog.messages == [drawn, "copied 1.0 MiB in 1 s (1.0 MiB/s)"]


def test_no_summary_of_what_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    screen = Screen(terminal=True)
    monkeypatch.setattr(sys, "stderr", screen)
    with pytest.raises(KeyError), progress.shown("copied", None):
        raise KeyError
    assert caplog.messages == []
    assert screen.text.endswith("\r\x1b[K"), "the error's line starts at the margin"
