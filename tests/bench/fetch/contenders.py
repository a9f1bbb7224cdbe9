"""Ways to get an image, as whole processes. Each starts in an empty folder and is timed to its end.

What each does, besides fetching: docs/performance.md.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bench.fetch.images import Image

ROOT = Path(__file__).parents[3]

OURS = "berth"
ARIA2C = "aria2c -x16"

ARIA2C_LINE = (
    "aria2c --no-conf --quiet --file-allocation=none -x16 -s16"
    ' --checksum="sha-256=$DIGEST" --out=image "$URL"'
)
# Lines of shell. No file of the user's own says how they behave.
LINES = {
    ARIA2C: ARIA2C_LINE,
    "the same, qemu-img check, sync": (
        f"{ARIA2C_LINE} && qemu-img check -q -f qcow2 image && sync image"
    ),
    "curl, sha256sum": (
        'curl --disable --silent --show-error --fail --output image "$URL"'
        ' && echo "$DIGEST  image" | sha256sum --check --quiet'
    ),
    "wget, qemu-img check": (
        'wget --no-config --quiet --output-document=image "$URL"'
        " && qemu-img check -q -f qcow2 image"
    ),
}


class Contender(NamedTuple):
    """A command with its environment; `folder` is where it works, on a real file system."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    cwd: Path | None = None

    def measure(self) -> float:
        """Run it; returns seconds."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            return self.run(Path(name))[0]

    def run(self, work: Path) -> tuple[float, str]:
        """Run it in an empty folder; returns seconds, and what it printed."""
        environment = {"PATH": os.environ["PATH"], "SHARED_DIR": str(work), **self.environment}
        # What others wrote must not be written while this one is timed.
        os.sync()
        begun = time.monotonic()
        done = subprocess.run(
            self.argv,
            env=environment,
            cwd=self.cwd or work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - begun
        if done.returncode:
            raise RuntimeError(f"{self.argv} ended with {done.returncode}: {done.stderr}")
        return seconds, done.stdout


def ours(image: Image, url: str, folder: Path, module: str = "tests.storage.ensure") -> Contender:
    """Berth's own, which ends with a base that was checked and made to last."""
    environment = {"IMG_SOURCE": url, "IMG_CHECKSUM": f"sha256:{image.digest}"}
    # From the checkout, which is where the module is.
    return Contender((sys.executable, "-m", module), environment, folder, ROOT)


def others(image: Image, url: str, folder: Path) -> dict[str, Contender]:
    environment = {"URL": url, "DIGEST": image.digest}
    return {
        name: Contender(("sh", "-ec", line), environment, folder) for name, line in LINES.items()
    }
