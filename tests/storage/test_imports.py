"""What a start does not wait for: libraries that are needed later, or not at all."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Each takes milliseconds, and the start of QEMU waits for all that is imported before it.
LATER = {
    "asyncio",
    "click",
    "concurrent.futures",
    "ctypes",
    "hashlib",
    "http",
    "iptc",
    "multiprocessing",
    "pycdlib",
    "pyroute2",
    "qemu",
    "requests",
    "ssl",
    "tempfile",
    "urllib3",
    "yaml",
    "zstandard",
}


def test_start_imports_nothing_that_it_does_not_need_yet() -> None:
    script = (
        "import sys\n"
        "import launcher.cli.startvm, launcher.cli.environment, launcher.life.start\n"
        "print(*sys.modules, sep='\\n')\n"
    )
    # -S: an environment's .pth files may import what they like.
    argv = [sys.executable, "-S", "-c", script]
    done = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True)
    imported = set(done.stdout.split())
    assert "launcher.machine.qemu" in imported
    assert sorted(imported & LATER) == []
