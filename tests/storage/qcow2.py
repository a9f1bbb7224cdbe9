"""Images in qcow2 as QEMU's own programs see them."""

import hashlib
import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run(*argv: str | Path) -> str:
    words = [str(word) for word in argv]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def info(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("qemu-img", "info", "--output=json", path))
    return found


def check(path: Path) -> None:
    """Raises when qemu-img finds anything wrong with the image, be it lost clusters."""
    run("qemu-img", "check", "-f", "qcow2", path)


def check_but_for_leaks(path: Path) -> None:
    """As `check`, but for clusters that nothing refers to, as a kill leaves them."""
    done = subprocess.run(["qemu-img", "check", "-f", "qcow2", path], capture_output=True)
    assert done.returncode in (0, 3), done.stdout


def killed_at(nth: int, argv: Sequence[str]) -> int:
    """Run qemu-img and kill it at its `nth` write. Returns its status, 0 if it has fewer."""
    inject = f"inject=pwrite64,pwritev,fdatasync:signal=SIGKILL:when={nth}"
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject]
    # strace counts the calls of each thread for itself, so there must be one that makes them all.
    program, verb, *rest = argv
    alone = ["--object", "main-loop,id=main-loop,thread-pool-max=1"]
    status = subprocess.run(
        [*trace, program, verb, *alone, *rest], capture_output=True, timeout=30
    ).returncode
    assert status in (0, -signal.SIGKILL), status
    return status


def write(path: Path, pattern: int, offset: str, length: str = "1M") -> None:
    run("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {offset} {length}", path)


def holds(path: Path, pattern: int, offset: str, length: str = "1M") -> bool:
    words = f"read -P {pattern} {offset} {length}"
    argv = ["qemu-io", "-r", "-f", "qcow2", "-c", words, str(path)]
    said = subprocess.run(argv, capture_output=True, text=True)
    return said.returncode == 0 and "verification failed" not in said.stdout


def content(path: Path) -> str:
    """sha256 of what a guest would read from the disk at `path`."""
    raw = path.with_name("content.raw")
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, raw)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest
