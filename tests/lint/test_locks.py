"""The locks hold what pyproject.toml asks for, in the same versions everywhere, with hashes."""

import re
import tomllib
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.lint.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RUN_TIME: list[str] = PROJECT["project"]["dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]

ASKED_FOR = {
    "launcher": RUN_TIME,
    "dev": RUN_TIME + GROUPS["dev"],
    "build": GROUPS["build"] + PROJECT["build-system"]["requires"],
}


class Pin(NamedTuple):
    version: Version
    hashes: int


def lock(name: str) -> dict[str, Pin]:
    """Distribution -> its pin, from lock/<name>.txt."""
    pins: dict[str, Pin] = {}
    entries = (ROOT / "lock" / f"{name}.txt").read_text("utf-8").replace("\\\n", " ")
    for line in entries.splitlines():
        pinned = re.match(r"(?P<name>[\w.-]+)==(?P<version>[^\s;]+)", line)
        if pinned:
            hashes = line.count("--hash=sha256:")
            pins[canonicalize_name(pinned["name"])] = Pin(Version(pinned["version"]), hashes)
        else:
            assert line.lstrip().startswith("#") or not line.strip(), f"unexpected: {line}"
    return pins


@pytest.mark.parametrize("name", ASKED_FOR)
def test_lock_satisfies_the_project(name: str) -> None:
    pins = lock(name)
    problems = []
    for asked in map(Requirement, ASKED_FOR[name]):
        pin = pins.get(canonicalize_name(asked.name))
        if pin is None:
            problems.append(f"{asked} is not in lock/{name}.txt")
        elif pin.version not in asked.specifier:
            problems.append(f"{asked} is locked to {pin.version}")
    assert problems == [], "./dev lock"


@pytest.mark.parametrize("name", ASKED_FOR)
def test_every_pin_has_hashes(name: str) -> None:
    pins = lock(name)
    assert pins
    assert [distribution for distribution, pin in pins.items() if not pin.hashes] == []


def test_development_runs_what_the_image_runs() -> None:
    development = lock("dev")
    differing = {
        distribution: (pin.version, development.get(distribution))
        for distribution, pin in lock("launcher").items()
        if development.get(distribution) != pin
    }
    assert differing == {}, "./dev lock"
