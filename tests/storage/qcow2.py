"""Images in qcow2 as QEMU's own programs see them."""

import hashlib
import json
import subprocess
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
