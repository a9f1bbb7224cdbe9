"""What the kernel and a file system offer to QEMU's block layer."""

import os
from pathlib import Path
from typing import Literal

# How QEMU and its tools say that somebody else has an image open (block/file-posix.c).
LOCK_WORDS = "Is another process using the image"

Aio = Literal["io_uring", "native", "threads"]

# How NFS and SMB are told to keep locks from their server (nfs(5), mount.cifs(8)).
LOCAL_LOCKS = {
    "nfs": {"nolock", "local_lock=all", "local_lock=posix"},
    "nfs4": {"local_lock=all", "local_lock=posix"},
    "cifs": {"nobrl"},
    "smb3": {"nobrl"},
}

IO_URING_SETUP = 425  # the same number on every architecture (kernel: asm-generic/unistd.h)


def supports_direct(path: Path) -> bool:
    """Whether `path`, an existing file or device, opens with O_DIRECT (tmpfs often does not)."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def has_holes(path: Path) -> bool:
    """Whether there is a hole in the file `path`, and its file system tells where (lseek(2)).

    FAT has none, and NFS before 4.2, SMB without sparse files and many of FUSE's tell of none.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.lseek(file, 0, os.SEEK_HOLE) < os.fstat(file).st_size
    except OSError:
        return False
    finally:
        os.close(file)


def locks_stay_here(folder: Path) -> bool:
    """Whether `folder` is on a network file system whose locks no other node hears of, by the way
    it is mounted. Others that have such locks, as some of FUSE's, do not say so."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        device = folder.stat().st_dev
    except OSError:
        return False
    return has_local_locks(mounts, device)


def has_local_locks(mounts: str, device: int) -> bool:
    """The same of the file system `device`, by what /proc/self/mountinfo says (proc(5)). Pure."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        mount, _, system = line.partition(" - ")
        fields, (kind, *others) = mount.split(), system.split() or [""]
        if fields[2:3] == [number] and others:
            return not LOCAL_LOCKS.get(kind, set()).isdisjoint(others[-1].split(","))
    return False


def has_io_uring() -> bool:
    """Whether this process may set up an io_uring.

    The default seccomp profiles of containerd and Docker have refused it since 2023, so the
    kernel's version says nothing; only the call itself does.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    params = ctypes.create_string_buffer(120)  # struct io_uring_params, all zero
    fd: int = libc.syscall(IO_URING_SETUP, 1, params)
    if fd < 0:
        return False
    os.close(fd)
    return True


def choose_aio(direct: bool) -> Aio:
    """io_uring where allowed, else Linux AIO, which is asynchronous only without the page cache."""
    if has_io_uring():
        return "io_uring"
    return "native" if direct else "threads"
