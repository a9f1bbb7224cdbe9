"""Unit tests touch nothing: the fixture here makes that a rule instead of a promise."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import GOLDENS
from tests.unit.guard import Guard, arm


@pytest.fixture(autouse=True)
def guard(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Guard]:
    """Refuse every reach for the machine; see tests/unit/guard.py for what that means.

    A refusal fails the test even where a thread or a bare `except:` lost the error.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    writable = [tmp_path_factory.getbasetemp().resolve()]
    if request.config.getoption("--update-goldens"):
        writable.append(GOLDENS)
    guard = Guard(writable)
    arm(guard)
    try:
        yield guard
    finally:
        arm(None)
    if guard.refused:
        pytest.fail("this unit test tried to " + ", then to ".join(guard.refused))
