"""The files in examples/: what their comments say to do, and what they say is refused."""

import os
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).parents[2] / "examples"

# The comment that a file opens with has commands indented by three spaces.
COMMAND = re.compile(r"^#   (.*)$", re.MULTILINE)


class Example(NamedTuple):
    """A values file that users copy."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def values(self) -> dict[str, Any]:
        """Empty where the file only explains."""
        return yaml.safe_load(self.path.read_text("utf-8")) or {}

    @property
    def comment(self) -> str:
        """What the file opens with."""
        return re.match(r"(#.*\n)*", self.path.read_text("utf-8"))[0]  # type: ignore[index]

    @property
    def commands(self) -> list[str]:
        """What the comment says to run, each in one line; the last one installs the release."""
        text = "\n".join(COMMAND.findall(self.comment))
        return text.replace("\\\n", "").splitlines()

    @property
    def release(self) -> str:
        return self._install[2]

    @property
    def options(self) -> list[str]:
        """Those of `helm install`, as the shell would split them."""
        return self._install[4:]

    @property
    def _install(self) -> list[str]:
        words = shlex.split(os.path.expandvars(self.commands[-1]))
        assert (words[:2], words[3]) == (["helm", "install"], "./chart"), self.commands
        return words


class Mistake(NamedTuple):
    """A values file that is refused."""

    path: Path

    @property
    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = yaml.safe_load(self.path.read_text("utf-8"))
        return values

    def message(self, program: str) -> str:
        """What `helm`, or `helm3`, says of it: our own words, or the schema's reader's, which is
        another one in old Helms."""
        first, second, *_ = self.path.read_text("utf-8").splitlines()
        assert first.startswith("# refused: "), self.path
        if program == "helm3" and second.startswith("# in Helm 3.14: "):
            return second.removeprefix("# in Helm 3.14: ")
        return first.removeprefix("# refused: ")


def examples() -> list[Example]:
    return [Example(path) for path in sorted(FOLDER.glob("*.yaml"))]


def mistakes() -> list[Mistake]:
    return [Mistake(path) for path in sorted((FOLDER / "invalid").glob("*.yaml"))]
