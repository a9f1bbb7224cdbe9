"""What is being written goes to the disk meanwhile, so that little is waited for at the end."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Bytes. Less would have the disk wait for us between two syncs.
EVERY = 64 << 20


class Settling:
    """Syncs an open file in a thread of its own; made by `settling`."""

    def __init__(self, fd: int) -> None:
        # Its own, so that whoever gives up need not wait for a sync that hangs.
        self._fd = os.dup(fd)
        self._unsettled = 0
        self._failure: OSError | None = None
        self._is_over = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settling", daemon=True)

    def start(self) -> None:
        try:
            self._thread.start()
        except BaseException:
            os.close(self._fd)
            raise

    def wrote(self, count: int) -> None:
        """There are `count` more bytes in the file."""
        self._unsettled += count
        if self._unsettled >= EVERY:
            self._unsettled = 0
            self._news.set()

    def stop(self) -> None:
        """Sync no more; one that is under way goes on."""
        self._is_over = True
        self._news.set()

    def end(self) -> None:
        """Wait for a sync that is under way.

        :raise OSError: when one failed: Linux tells an open file of that once, and the next sync
            would succeed without what was lost.
        """
        self.stop()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while self._news.wait() and not self._is_over:
                self._news.clear()
                os.fdatasync(self._fd)
        except OSError as err:
            self._failure = err
        finally:
            os.close(self._fd)


@contextmanager
def settling(fd: int) -> Iterator[Settling]:
    """Sync the open file `fd` while it is written to.

    :raise OSError: at the end, when some of what was written is lost.
    """
    made = Settling(fd)
    made.start()
    try:
        yield made
    except BaseException:
        made.stop()
        raise
    made.end()
