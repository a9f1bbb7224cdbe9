"""The benchmark that needs nothing but qemu-img still works; what it measures is not looked at."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_disk() -> None:
    argv = [sys.executable, "-m", "tests.bench", "disk", "--quick"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for row in ("new places, depth 1 ", "the same again, depth 16 ", "growth, MiB "):
        assert row in done.stdout
    assert "over default qcow2, new places, depth 16: " in done.stdout
