"""tests/debian-packages.txt names every Debian package that something here asks for."""

import importlib
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.lint.sources import ROOT, python

LINE = re.compile(r"(?P<purpose>\w+) +(?P<package>[a-z0-9][a-z0-9.+-]+) +(?P<why>\S.*)")


def listed() -> dict[str, set[str]]:
    """Purpose -> names of packages."""
    packages: defaultdict[str, set[str]] = defaultdict(set)
    for line in (ROOT / "tests/debian-packages.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        assert match, f"not `purpose package why`: {line}"
        packages[match["purpose"]].add(match["package"])
    return packages


def test_every_package_has_a_reason() -> None:
    assert {"build", "lint", "netns", "boot"} <= listed().keys()


BUILDERS = [
    path for path in python() if re.search(r"^DEBIAN_PACKAGES\b", (ROOT / path).read_text(), re.M)
]


# Folder of tests/ -> the first tier that uses what is built there.
TIERS = {"containers": "image", "guests": "boot"}


@pytest.mark.parametrize("path", BUILDERS, ids=str)
def test_builder_finds_its_packages(path: Path) -> None:
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    assert set(module.DEBIAN_PACKAGES) - listed()[TIERS[path.parts[1]]] == set()
