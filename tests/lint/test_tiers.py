"""A folder of tests that no command runs is worse than none."""

import re
import tomllib

from tests.conftest import TIME_LIMITS
from tests.lint.sources import ROOT, python


def tiers_of_dev() -> set[str]:
    """Every tier that ./dev knows by name."""
    script = (ROOT / "dev").read_text("utf-8")
    (tiers,) = re.findall(r"^readonly TIERS=\((.*)\)$", script, re.M)
    return set(tiers.split())


def test_every_test_belongs_to_a_tier() -> None:
    tests = [path for path in python() if path.parts[0] == "tests" and path.match("test_*.py")]
    assert [str(path) for path in tests if path.parts[1] not in tiers_of_dev()] == []


def test_every_tier_has_a_time_limit_and_a_marker() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    markers = {line.partition(":")[0] for line in project["tool"]["pytest"]["markers"]}
    assert tiers_of_dev() == TIME_LIMITS.keys() == markers
