"""The files git knows, and the tools of this virtual environment."""

import subprocess
from functools import cache
from importlib.metadata import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def tracked() -> tuple[Path, ...]:
    """Every file git knows that is still there, relative to the checkout.

    What merely lies around in somebody's checkout is nobody's business.
    """
    # A checkout may belong to somebody else than the user who runs the tests, root for instance.
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return tuple(path for path in paths if (ROOT / path).is_file())


def python() -> tuple[Path, ...]:
    return tuple(path for path in tracked() if path.suffix == ".py")


def stubs() -> tuple[Path, ...]:
    """Types of libraries that have none."""
    return tuple(path for path in tracked() if path.suffix == ".pyi")


def text() -> tuple[Path, ...]:
    """What is read by people, without what is written by programs."""
    return tuple(path for path in tracked() if path.parts[0] != "lock")


def shell() -> tuple[Path, ...]:
    """Shell scripts, told by their first line as the kernel does."""
    return tuple(path for path in tracked() if shell_of(path) is not None)


def shell_of(path: Path) -> str | None:
    """Which shell a script asks for, in ShellCheck's words; None for anything else."""
    with (ROOT / path).open("rb") as file:
        first = file.readline(200)
    if not first.startswith(b"#!"):
        return None
    words = first[2:].decode("utf-8", "replace").split()
    name = Path(words[-1]).name
    if "busybox" in first.decode("utf-8", "replace"):
        return "busybox"
    return name if name in {"bash", "dash", "sh"} else None


def tool(distribution: str, name: str) -> Path:
    """The command that a Python distribution installed, wherever its environment is."""
    for file in files(distribution) or ():
        if file.name == name and file.parent.name == "bin":
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError(f"{distribution} has no command {name}")


def check(*argv: str | Path) -> None:
    """Run a tool over the checkout; whatever it finds is the failure's text."""
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        pytest.fail(f"{Path(argv[0]).name}:\n{done.stdout}", pytrace=False)
