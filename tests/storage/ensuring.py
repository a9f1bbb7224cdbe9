"""Processes that fetch at the same time, one of which one may kill."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

# So long that only a hang reaches it.
PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Ensuring:
    """`ensure()` in a process of its own; `log` is what it said so far."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    @property
    def log(self) -> str:
        return self.err.read_text(encoding="utf-8")

    def says(self, pattern: str) -> None:
        """Wait until it has said so."""
        until = time.monotonic() + PATIENCE
        while not re.search(pattern, self.log):
            assert time.monotonic() < until, f"no {pattern!r} in: {self.log}"
            time.sleep(0.01)

    def end(self) -> tuple[int, str]:
        """Wait for its end; the exit code, and the base's path."""
        status = self.process.wait(PATIENCE)
        return status, self.out.read_text(encoding="utf-8").strip()


def environment(folder: Path, source: str | Path, **environ: str) -> dict[str, str]:
    """What `tests.storage.ensure` needs to fetch `source` onto the shared volume `folder`."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": ":".join(sys.path),
        "SHARED_DIR": str(folder),
        "IMG_SOURCE": str(source),
        **environ,
    }


@contextmanager
def ensuring(
    folder: Path, source: str | Path, *, count: int = 1, **environ: str
) -> Iterator[list[Ensuring]]:
    """`count` processes that ask for `source` on the shared volume `folder`; killed at the end."""
    logs = folder.with_name(f"{folder.name}-logs")
    logs.mkdir(exist_ok=True)
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            number = len(list(logs.iterdir()))
            out, err = logs / f"{number}.out", logs / f"{number}.err"
            with out.open("wb") as stdout, err.open("wb") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.storage.ensure"],
                    env=environment(folder, source, **environ),
                    stdout=stdout,
                    stderr=stderr,
                )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(Ensuring(process, out, err))
        yield started
