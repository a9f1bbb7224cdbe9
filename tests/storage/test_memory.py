"""How many heaps the C library makes for threads, by its own account."""

import subprocess
import sys

import pytest

from tests.storage.processes import ROOT

SCRIPT = """
import ctypes, sys, threading
from launcher.host import memory

if sys.argv[1] == "shared":
    memory.share_heaps()
THREADS = 6
all_are_here = threading.Barrier(THREADS)

def work():
    kept = bytearray(4096)
    all_are_here.wait()

threads = [threading.Thread(target=work) for _ in range(THREADS)]
for each in threads:
    each.start()
for each in threads:
    each.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.parametrize(("how", "is_few"), [("shared", True), ("not", False)])
def test_threads_share_heaps(how: str, is_few: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how], cwd=ROOT, check=True, capture_output=True, text=True
    )
    heaps = done.stdout.count("<heap nr=")
    assert heaps
    assert (heaps <= 2) == is_few, done.stdout
