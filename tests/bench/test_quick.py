"""The benchmarks still work; what they measure in so short a time is not looked at."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Words of each part of what they print.
PARTS = {
    "start": ("QMP ready ", "guest running ", "ssh "),
    "fetch": (
        "aria2c -x16 ",
        "speed over aria2c -x16, no limit: ",
        "xz, time over its slowest stage: ",
        "memory of the fetch, MiB: ",
    ),
    "disk": (
        "new places, depth 1 ",
        "the same again, depth 16 ",
        "growth, MiB ",
        "over default qcow2, new places, depth 16: ",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_it_works(name: str) -> None:
    argv = [sys.executable, "-m", "tests.bench", name, "--quick"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [part for part in PARTS[name] if part not in done.stdout] == [], done.stdout
