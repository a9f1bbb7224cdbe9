"""This checkout's own tests, run by the image's Python with the image's launcher and QEMU.

What they need besides is lent from here: pytest is Python alone, so that one of another version
takes it as well. Nothing is installed.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

from tests.containers.image import ROOT

# pytest, its plugin that knows our time limits, and all that these need.
LENT = ("iniconfig", "packaging", "pluggy", "pygments", "pytest", "pytest-timeout")
CHECKOUT = "/checkout"


def lend(folder: Path) -> None:
    """Put together in `folder` what is mounted at `CHECKOUT`: tests, settings, and packages."""
    for name in LENT:
        lent = distribution(name)
        for file in lent.files or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), target)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    shutil.copytree(
        ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__", "cluster")
    )
