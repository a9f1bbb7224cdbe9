"""Writes down which parts are on disk for good, while others still arrive.

First the data are synced, then the list is replaced in one step: nothing that a list names is
missing after a power cut. Both in a thread of its own, one round at a time, since a sync can take
seconds on a busy volume; parts that arrive meanwhile are in the next round.

Linux tells an open file of a failed write once, and then forgets the bytes: the next sync succeeds
without them. So after a sync that failed nothing is listed any more, and the download fails.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from launcher.host.errors import Busy
from launcher.image.source import parts
from launcher.image.source.kept import Files
from launcher.image.source.parts import Listing
from launcher.image.source.ranges import Pinned

logger = logging.getLogger("startvm")

# Seconds between two rounds at the least, and never less than the last one took: a disk that is
# slow to sync is better used for what arrives.
EVERY = 1.0


class Ledger:
    """Of the data in the open file `fd`. Its thread runs from the start until `close`.

    :param done: gives the indexes of the parts that were written, at any time.
    :param failed: is told, from the thread, of a sync that failed.
    """

    def __init__(
        self,
        files: Files,
        fd: int,
        pinned: Pinned,
        done: Callable[[], frozenset[int]],
        failed: Callable[[OSError], None],
    ) -> None:
        self._files = files
        self._fd = fd
        self._pinned = pinned
        self._done = done
        self._failed = failed
        self._failure: OSError | None = None
        self._inode = os.fstat(fd).st_ino
        self._listed: frozenset[int] = frozenset()
        self._news = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fetch-ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def note(self) -> None:
        """There are more parts."""
        self._news.set()

    def close(self) -> None:
        """End the thread."""
        self._ending.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def sync(self) -> None:
        """Make sure that all that was written is on disk for good.

        :raise OSError: when some of it is not, be it said now or earlier.
        """
        if self._failure is None:
            try:
                os.fdatasync(self._fd)
            except OSError as err:
                logger.warning("what was fetched is not all on disk: %s", err.strerror or err)
                self._failure = err
        if self._failure is not None:
            raise self._failure

    def write(self) -> bool:
        """Sync and list what is new; returns whether there is still a point in it."""
        done = self._done()
        if done == self._listed:
            return True
        try:
            self.sync()
        except OSError:
            return False
        try:
            return self._list(done)
        except Busy:
            return False  # somebody else took over
        except OSError as err:
            # The download itself may yet succeed; and if not, it says why in its own words.
            logger.warning("what was fetched so far cannot be listed: %s", err.strerror or err)
            return False

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._news.clear()
            if self._ending.is_set():
                return
            started = time.monotonic()
            if not self.write():
                if self._failure is not None:
                    self._failed(self._failure)
                return
            self._ending.wait(max(EVERY, time.monotonic() - started))

    def _list(self, done: frozenset[int]) -> bool:
        if self._files.data.lstat().st_ino != self._inode:
            return False  # and they began already
        done_parts = tuple(sorted(done))
        self._files.write(
            Listing(self._files.address, self._pinned, parts.PART, self._inode, done_parts)
        )
        self._listed = done
        return True
