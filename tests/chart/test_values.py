"""Every value is used by some template, and every value that a template reads is there."""

import re

import pytest

from chart.tools.values import CHART, Value, read
from launcher import __version__
from tests.chart.scenarios import SCENARIOS

VALUES = {value.name: value for value in read()}


def reads() -> dict[str, set[str]]:
    """Every value that the templates read, and by which of them."""
    found: dict[str, set[str]] = {}
    for path in (CHART / "templates").rglob("*.*"):
        for name in re.findall(r"\.Values\.([A-Za-z][A-Za-z0-9.]*)", path.read_text("utf-8")):
            found.setdefault(name, set()).add(path.name)
    return found


@pytest.mark.parametrize("name", VALUES)
def test_value_is_read(name: str) -> None:
    # `image` is handed on as a whole, to get its defaults; its parts are read all the same.
    assert name in reads()


def test_what_is_read_is_a_value() -> None:
    assert {name: by for name, by in reads().items() if name not in VALUES} == {}


def is_set(value: Value) -> bool:
    for scenario in SCENARIOS.values():
        for top in (scenario, *scenario.get("vms", {}).values()):
            here = top
            for word in value.path:
                here = here.get(word, {}) if isinstance(here, dict) else {}
            if here != {}:
                return True
    return False


@pytest.mark.parametrize("name", VALUES)
def test_some_scenario_sets_it(name: str) -> None:
    assert is_set(VALUES[name])


def test_chart_and_launcher_have_one_version() -> None:
    chart = (CHART / "Chart.yaml").read_text("utf-8")
    assert re.search(r"^version: (.+)$", chart, re.M)[1] == __version__  # type: ignore[index]
    assert re.search(r"^appVersion: (.+)$", chart, re.M)[1] == __version__  # type: ignore[index]
