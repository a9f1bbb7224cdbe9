"""tests/conftest.py itself: skips in CI, the order of tiers, goldens."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lint.sources import ROOT

Project = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Run pytest in a project with our conftest.py and the given test files.

    The keys of `files` are paths below tests/; `ci` says whether CI is set.
    """

    def run(files: dict[str, str], *arguments: str, ci: bool) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
        for name, source in files.items():
            path = tmp_path / "tests" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        ours = (ROOT / "tests/conftest.py").read_bytes()
        (tmp_path / "tests/conftest.py").write_bytes(ours)
        return subprocess.run(
            [sys.executable, "-m", "pytest", *(arguments or ["tests"])],
            cwd=tmp_path,
            env={**os.environ, "CI": "true" if ci else "false"},
            capture_output=True,
            text=True,
        )

    return run


SKIPPING = "import pytest\n\ndef test_it():\n    pytest.skip('no tun device')\n"
SKIPPING_ALL = "import pytest\npytest.skip('no qemu', allow_module_level=True)\n"
ALLOWED = "import pytest\n\n@pytest.mark.skip('kernel has no SCTP')\ndef test_it(): pass\n"
PASSING = "def test_it(): pass\n"
FAILING = "def test_it(): assert False\n"


@pytest.mark.parametrize(
    ("source", "reason"), [(SKIPPING, "no tun device"), (SKIPPING_ALL, "no qemu")]
)
def test_skip_fails_in_ci(project: Project, source: str, reason: str) -> None:
    done = project({"netns/test_a.py": source, "netns/test_b.py": PASSING}, ci=True)
    assert done.returncode != 0
    assert f"skipped in CI, which has to run it: {reason}" in done.stdout


@pytest.mark.parametrize("source", [SKIPPING, SKIPPING_ALL])
def test_skip_passes_with_its_reason_elsewhere(project: Project, source: str) -> None:
    done = project({"netns/test_a.py": source, "netns/test_b.py": PASSING}, ci=False)
    assert done.returncode == 0
    assert "SKIPPED" in done.stdout


def test_skip_that_no_machine_of_ours_can_avoid_passes_in_ci(project: Project) -> None:
    done = project({"netns/test_a.py": ALLOWED}, ci=True)
    assert done.returncode == 0
    assert "1 skipped" in done.stdout


def test_expected_failure_is_no_skip(project: Project) -> None:
    source = f"import pytest\n\n@pytest.mark.xfail(reason='known')\n{FAILING}"
    done = project({"netns/test_a.py": source}, ci=True)
    assert done.returncode == 0
    assert "1 xfailed" in done.stdout


def test_dear_tier_does_not_follow_a_failure(project: Project) -> None:
    files = {"unit/test_a.py": FAILING, "unit/test_b.py": PASSING, "boot/test_a.py": PASSING}
    done = project(files, "tests/unit", "tests/boot", ci=False)
    assert done.returncode == 1
    assert "unit failed, so boot is not run" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_tiers_follow_each_other(project: Project) -> None:
    done = project(
        {"unit/test_a.py": PASSING, "boot/test_a.py": PASSING}, "tests/unit", "tests/boot", ci=True
    )
    assert done.returncode == 0
    assert "2 passed" in done.stdout.splitlines()[-1]
    assert "unit 0 s, boot 0 s" in done.stdout


def test_tier_is_a_marker(project: Project) -> None:
    files = {"unit/test_a.py": PASSING, "boot/test_a.py": PASSING}
    done = project(files, "-m", "boot", "tests", ci=False)
    assert "1 passed, 1 deselected" in done.stdout


GOLDEN = "def test_it(golden): golden('room/a.txt', 'new\\n')\n"


def test_golden_that_is_missing_fails(project: Project) -> None:
    done = project({"unit/test_a.py": GOLDEN}, ci=False)
    assert done.returncode == 1
    assert "tests/golden/room/a.txt is missing" in done.stdout


def test_golden_that_differs_fails(project: Project) -> None:
    done = project({"unit/test_a.py": GOLDEN, "golden/room/a.txt": "old\n"}, ci=False)
    assert done.returncode == 1
    assert "- old" in done.stdout
    assert "+ new" in done.stdout


def test_golden_is_written_when_asked(project: Project, tmp_path: Path) -> None:
    files = {"unit/test_a.py": GOLDEN, "golden/room/a.txt": "old\n"}
    done = project(files, "--update-goldens", "tests", ci=False)
    assert done.returncode == 0
    assert (tmp_path / "tests/golden/room/a.txt").read_text() == "new\n"
