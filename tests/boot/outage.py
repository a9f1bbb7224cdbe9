"""A disk whose storage can be taken away while a VM uses it, and brought back.

It is a file system of our own with one file in it, by the kernel's FUSE (uapi/linux/fuse.h). While
the storage is away each read, write and flush fails with EIO, as network storage does that gave up.
"""

import errno
import os
import select
import stat
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

FORGET, INIT, INTERRUPT = 2, 26, 36
GETATTR, SETATTR, STATFS = 3, 4, 17
OPEN, READ, WRITE, RELEASE, FSYNC, FLUSH = 14, 15, 16, 18, 20, 25

IN_HEADER = struct.Struct("<IIQQIIII")
OUT_HEADER = struct.Struct("<IiQ")
# What READ and WRITE begin with: handle, offset, size.
TRANSFER = struct.Struct("<QQI20x")
# The version that the answers are in, and the most that comes in one WRITE.
MAJOR, MINOR, MAX_WRITE = 7, 31, 128 << 10
DIRECT_IO = 1


class Request(NamedTuple):
    opcode: int
    unique: int
    body: bytes


class Storage:
    """`backing` is all that was written so far."""

    def __init__(self, device: int, size: int) -> None:
        self.backing = bytearray(size)
        self._device = device
        self._is_away = threading.Event()
        self._answers: dict[int, Callable[[bytes], bytes]] = {
            INIT: self._init,
            GETATTR: self._attributes,
            SETATTR: self._attributes,
            STATFS: lambda _: struct.pack("<QQQQQIIII24x", 1, 1, 1, 1, 1, 4096, 255, 4096, 0),
            OPEN: lambda _: struct.pack("<QII", 1, DIRECT_IO, 0),
            READ: self._read,
            WRITE: self._write,
            RELEASE: lambda _: b"",
            FSYNC: lambda _: b"",
            FLUSH: lambda _: b"",
        }

    def take_away(self) -> None:
        self._is_away.set()

    def bring_back(self) -> None:
        self._is_away.clear()

    def serve(self, until: int) -> None:
        """Answer the kernel until the descriptor `until` can be read from."""
        while True:
            ready, _, _ = select.select([self._device, until], [], [])
            if until in ready:
                return
            data = os.read(self._device, MAX_WRITE + 4096)
            _, opcode, unique, *_ = IN_HEADER.unpack_from(data)
            self._answer(Request(opcode, unique, data[IN_HEADER.size :]))

    def _answer(self, request: Request) -> None:
        if request.opcode in (FORGET, INTERRUPT):
            return
        error, body = 0, b""
        if request.opcode not in self._answers:
            error = errno.ENOSYS
        elif request.opcode in (READ, WRITE, FSYNC) and self._is_away.is_set():
            error = errno.EIO
        else:
            body = self._answers[request.opcode](request.body)
        head = OUT_HEADER.pack(OUT_HEADER.size + len(body), -error, request.unique)
        os.write(self._device, head + body)

    def _init(self, _: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI28x", MAJOR, MINOR, 0, 0, 16, 12, MAX_WRITE, 1, 0, 0, 0)

    def _attributes(self, _: bytes) -> bytes:
        size = len(self.backing)
        times = (0,) * 6
        mode = stat.S_IFREG | 0o644
        rest = (mode, 1, 0, 0, 0, 4096, 0)
        return struct.pack("<QII6Q10I", 0, 0, 0, 1, size, size // 512, *times, *rest)

    def _read(self, body: bytes) -> bytes:
        _, offset, size = TRANSFER.unpack_from(body)
        return bytes(self.backing[offset : offset + size])

    def _write(self, body: bytes) -> bytes:
        _, offset, size = TRANSFER.unpack_from(body)
        self.backing[offset : offset + size] = body[TRANSFER.size :]
        return struct.pack("<II", size, 0)


@contextmanager
def storage(disk: Path, size: int) -> Iterator[Storage]:
    """A new disk of `size` bytes at the path `disk`."""
    disk.touch()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    stopping, stop = os.pipe()
    made = Storage(device, size)
    serving = threading.Thread(target=made.serve, args=[stopping])
    options = f"fd={device},rootmode={stat.S_IFREG:o},user_id=0,group_id=0,allow_other"
    argv = ["mount", "-i", "-t", "fuse", "-o", options, "outage", str(disk)]
    try:
        subprocess.run(argv, check=True, pass_fds=[device])
        # Before it is mounted there is nothing to answer.
        serving.start()
        try:
            yield made
        finally:
            os.write(stop, b".")
            serving.join()
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
    finally:
        # Whoever still has it open is told by this that nobody answers any more.
        for each in (device, stop, stopping):
            os.close(each)
