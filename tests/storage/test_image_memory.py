"""What a fetch takes, as a process of its own shows."""

import gzip
import random
import resource
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.storage.conftest import MIB, Volume
from tests.storage.ensuring import environment
from tests.storage.http_server import Reply, Server
from tests.storage.processes import ROOT
from tests.storage.ranged import Ranged

MOST = 64 * MIB

# The interpreter with all that a fetch imports, idle, and then the fetch; ru_maxrss is in KiB.
SCRIPT = """
import resource, sys
import bz2, lzma, zlib, hashlib, zstandard, requests, urllib3, ssl
from launcher.image import fetch
from launcher.image.source import http
from tests.storage import ensure
idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = ensure.main()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle)
sys.exit(status)
"""


@dataclass(slots=True)
class Gathering:
    """Where each waits until so many `members` are there; who is late goes through."""

    members: int
    all_here: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0

    def wait(self) -> None:
        with self.lock:
            self.count += 1
            if self.count >= self.members:
                self.all_here.set()
        # Should they never be, the test fails for what it then counts.
        self.all_here.wait(20)


@pytest.mark.parametrize("packing", ["none", "gz"])
def test_a_fetch_takes_little_memory(
    volume: Volume, server: Server, tmp_path: Path, packing: str
) -> None:
    """272 MiB by sixteen connections, or four, of which none is faster than what reads."""
    block = random.Random(2).randbytes(MIB)
    body = bytearray(block * 272)
    body[510:512] = b"\x55\xaa"
    data = gzip.compress(body, 1) if packing == "gz" else bytes(body)
    together = Gathering(16 if packing == "none" else 4)

    def even(reply: Reply, first: int, end: int) -> Reply:
        # The first connections bring what tells whether it is packed.
        wait = None if first < 3 * MIB else together.wait
        return replace(reply, speed=64 * MIB, wait=wait)

    server.replies["/disk"] = Ranged(data, spoil=even)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment(volume.path, server.url("/disk")),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert server.most_at_once >= together.members
    more = int(done.stdout.split()[-1]) * 1024
    print(f"{more / MIB:.0f} MiB", file=sys.stderr)
    assert more < MOST


def test_the_number_is_that_of_this_process() -> None:
    """Else the one above would measure nothing."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    block = bytearray(before * 1024 + MOST)
    block[::4096] = b"x" * len(block[::4096])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >= MOST // 1024
