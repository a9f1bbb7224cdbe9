"""One folder on FUSE file systems that have locks of their own, or none."""

import ctypes
import errno
import os
import platform
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

FLOCK = {"x86_64": 73, "aarch64": 32}

LOAD_NUMBER = (0x20, 0, 0, 0)
FAIL = (0x06, 0, 0, 0x0005_0000 | errno.ENOLCK)
ALLOW = (0x06, 0, 0, 0x7FFF_0000)


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def refuse_locks() -> None:
    """From now on flock(2) fails with ENOLCK in this process, as on an NFS without its lockd."""
    is_flock = (0x15, 0, 1, FLOCK[platform.machine()])
    code = b"".join(struct.pack("HBBI", *each) for each in (LOAD_NUMBER, is_flock, FAIL, ALLOW))
    text = ctypes.create_string_buffer(code)
    program = Program(4, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no seccomp")


@contextmanager
def mounted(folder: Path, place: Path, *, locks: bool = True) -> Iterator[Path]:
    """`folder` once more at `place`. Its locks are those of this mount alone; without `locks` it
    refuses them: it would pass them on, and may not."""
    place.mkdir()
    options = [] if locks else ["--enable-lock-forwarding", "--multithreaded"]
    process = subprocess.Popen(
        ["bindfs", "-f", *options, folder, place],
        preexec_fn=None if locks else refuse_locks,
    )
    try:
        until = time.monotonic() + 10
        while not os.path.ismount(place):
            assert process.poll() is None, "bindfs ended"
            assert time.monotonic() < until, "bindfs does not mount"
            time.sleep(0.01)
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=False)
        # By itself it would wait for every mount namespace that was made of ours meanwhile.
        process.kill()
        process.wait()
