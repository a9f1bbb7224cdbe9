"""tests/side_by_side.py: what CI calls the result is that of both halves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lint.sources import ROOT

OUTCOMES = {"passes": "pass", "fails": "assert 0, 'for a reason'"}

# Waits to be stopped, and shows that it has come to its end as a test should.
WAITING = """\
import pathlib, pytest, time

@pytest.fixture
def held(request):
    place = pathlib.Path(__file__)
    place.with_suffix(".begun").touch()
    yield
    place.with_suffix(".ended").touch()

def test_it(held):
    time.sleep(60)
"""


def command(first: list[Path], others: list[Path]) -> list[str]:
    words = [*map(os.fspath, first), "--", *map(os.fspath, others)]
    return [sys.executable, "-m", "tests.side_by_side", *words]


def folder(place: Path, source: str) -> Path:
    place.mkdir()
    (place / f"test_{place.name}.py").write_text(source, "utf-8")
    return place


@pytest.mark.parametrize("second", OUTCOMES)
@pytest.mark.parametrize("first", OUTCOMES)
def test_both_have_to_pass_and_are_shown_in_order(tmp_path: Path, first: str, second: str) -> None:
    folders = [
        folder(tmp_path / name, f"def test_it(): {OUTCOMES[outcome]}\n")
        for name, outcome in (
            ("one", "passes"),
            ("two", first),
            ("three", "passes"),
            ("four", second),
        )
    ]
    done = subprocess.run(
        command(folders[:2], folders[2:]), cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode == 0) is (first == second == "passes")
    places = [done.stdout.index(f"test_{name}.py") for name in ("one", "two", "three", "four")]
    assert places == sorted(places)
    assert done.stdout.count("for a reason") >= [first, second].count("fails")
    assert f"beside it: {'passed' if second == 'passes' else 'FAILED'}" in done.stderr


def test_when_terminated_both_take_down_what_they_have_made(tmp_path: Path) -> None:
    folders = [folder(tmp_path / name, WAITING) for name in ("one", "two")]
    with subprocess.Popen(
        command(folders[:1], folders[1:]), cwd=ROOT, stdout=subprocess.DEVNULL
    ) as both:
        until = time.monotonic() + 30
        while len(list(tmp_path.rglob("*.begun"))) < 2:
            assert time.monotonic() < until
            assert both.poll() is None
            time.sleep(0.02)
        both.send_signal(signal.SIGTERM)
        assert both.wait(30) != 0
    assert len(list(tmp_path.rglob("*.ended"))) == 2
