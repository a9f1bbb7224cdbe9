"""A disk whose storage can be taken away while somebody uses it, and brought back.

What the VM has is a file; behind it QEMU's storage daemon asks an NBD server for every byte, by
FUSE, and without the server every request fails with EIO: as with network storage that gives up.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PATIENCE = 30.0


class Storage:
    """`disk` is what is to be used, `backing` what comes of it: files of `size` bytes."""

    def __init__(self, disk: Path, folder: Path, size: int) -> None:
        self.disk = disk
        self.backing = folder / "backing.raw"
        self._socket = folder / "nbd.sock"
        self._server: subprocess.Popen[bytes] | None = None
        with self.backing.open("wb") as file:
            file.truncate(size)

    def bring_back(self) -> None:
        argv = ["qemu-nbd", "--persistent", "-f", "raw"]
        self._server = subprocess.Popen([*argv, "-k", self._socket, self.backing])
        wait_until(self._socket.exists)

    def take_away(self) -> None:
        if self._server:
            self._server.kill()
            self._server.wait(PATIENCE)
            self._socket.unlink(missing_ok=True)

    @contextmanager
    def exported(self) -> Iterator[None]:
        node = f"driver=nbd,node-name=far,server.type=unix,server.path={self._socket}"
        export = f"type=fuse,id=near,node-name=far,mountpoint={self.disk},writable=on"
        self.disk.touch()
        argv = ["qemu-storage-daemon", "--blockdev", f"{node},reconnect-delay=0"]
        with subprocess.Popen([*argv, "--export", export]) as daemon:
            try:
                wait_until(lambda: os.path.ismount(self.disk))
                yield
            finally:
                daemon.kill()
                daemon.wait(PATIENCE)
                subprocess.run(["umount", "--lazy", self.disk], check=True)


@contextmanager
def storage(disk: Path, folder: Path, size: int) -> Iterator[Storage]:
    """A new disk at the path `disk`, with what it needs in `folder`."""
    made = Storage(disk, folder, size)
    with ExitStack() as stack:
        stack.callback(made.take_away)
        made.bring_back()
        stack.enter_context(made.exported())
        yield made


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
