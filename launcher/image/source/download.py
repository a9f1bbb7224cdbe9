"""A file fetched by many connections at once, read in order while it arrives.

Servers and networks give each connection its share, so many get more. Each takes the first part
that nobody works on, and writes it to its place in one sparse file; reading follows behind, from
the page cache. Plain threads: what they wait for are sockets and the disk.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import requests
import urllib3

from launcher.host.errors import ImageRefused, LauncherError, SourceUnavailable
from launcher.image import space
from launcher.image.progress import duration, size
from launcher.image.source import retry
from launcher.image.source.anew import chance
from launcher.image.source.kept import Files
from launcher.image.source.ledger import Ledger
from launcher.image.source.line import Line
from launcher.image.source.part import check_part
from launcher.image.source.parts import Board
from launcher.image.source.ranges import Pinned, Span
from launcher.image.source.request import Client
from launcher.image.source.retry import Again, Anew
from launcher.image.source.stream import CHUNK, ZEROS

logger = logging.getLogger("startvm")

# Connections at once. A decoder takes one after the other what four bring; with more of them the
# part that it waits for would only come later.
FEW = 4
MANY = 16

# Seconds to connect to a server that has answered already. Nothing can end a connect, and so this
# is the longest that it takes to stop.
CONNECT_AGAIN = 5.0


class Stopped(Exception):
    """Nobody wants the rest."""


class Download:
    """The file that `client` asks for, as it was when `pinned`; a context manager.

    :param fd: the data of `files`, open; closed at the end.
    :param board: what of it is there already.
    :param deadline: of `time.monotonic()`; `patience` is how long that was, in seconds.
    """

    def __init__(
        self,
        client: Client,
        pinned: Pinned,
        files: Files,
        fd: int,
        board: Board,
        deadline: float,
        patience: float,
    ) -> None:
        self._client = client
        self._pinned = pinned
        self._files = files
        self._fd = fd
        self._board = board
        self._deadline = deadline
        self._patience = patience
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        self._lines: list[Line] = []
        self._threads: list[threading.Thread] = []
        self._ledger = Ledger(files, fd, pinned, self._done, self._not_synced)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_of_use = not isinstance(err, ImageRefused | Anew)
        try:
            self.stop()
            for thread in self._threads:
                if thread.is_alive():
                    thread.join()
            self._ledger.close()
            if err is None:
                self._settle()
            elif is_of_use:
                self._ledger.write()
        finally:
            os.close(self._fd)
        if not is_of_use:
            self._files.discard()

    def start(self, line: Line, answer: requests.Response) -> None:
        """Begin; `answer` is to a request for the first part that is missing, made on `line`."""
        self._ledger.start()
        if self._board.is_complete:
            answer.close()
            return
        self._add(line, answer)
        self._grow(FEW)

    def widen(self) -> None:
        """From now on, nothing counts but when the last byte is there."""
        self._grow(MANY)

    def name(self, place: Path) -> Path:
        """See `Stream.name`."""
        return self._files.name(self._fd, place)

    def stop(self) -> None:
        """End all that waits; whoever reads gets `Stopped`."""
        self._ending.set()
        with self._lock:
            self._arrived.notify_all()
            lines = list(self._lines)
        for line in lines:
            line.end()

    def chunks(self) -> Iterator[bytes]:
        """All bytes in order, as soon as they are there.

        :raise SourceUnavailable: when the rest does not come. `Anew`, where beginning once more
            may help.
        :raise StorageError: when there is no space for it.
        """
        at = 0
        while at < self._pinned.length:
            end = min(at + CHUNK, self._pinned.length)
            self._wait_for(end)
            data = os.pread(self._fd, end - at, at)
            if not data:
                raise OSError(f"{self._files.data} was cut short by somebody else")
            yield data
            at += len(data)

    def _wait_for(self, end: int) -> None:
        with self._lock:
            while self._board.frontier < end:
                if self._failure is not None:
                    raise self._failure
                if self._ending.is_set():
                    raise Stopped
                left = self._deadline - time.monotonic()
                if left <= 0:
                    raise self._too_late()
                self._arrived.wait(min(left, threading.TIMEOUT_MAX))

    def _too_late(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._client.shown} is not here after {duration(self._patience)}: "
            f"{size(self._board.received)} of {size(self._pinned.length)} came",
            hint="they are kept, and the next try goes on from there; FETCH_TIMEOUT says how "
            "long it may take",
        )

    def _grow(self, count: int) -> None:
        with self._lock:
            left = -(-(self._pinned.length - self._board.received) // self._board.size)
        while len(self._threads) < min(count, left):
            try:
                self._add(Line(), None)
            except RuntimeError as err:
                self._threads.pop()
                logger.info("no more than %d connections: %s", len(self._threads), err)
                return

    def _add(self, line: Line, answer: requests.Response | None) -> None:
        name = f"fetch-{len(self._threads)}"
        # A signal's exception may come between its start and our knowing of it. Then it must not
        # keep the process; and it finds that all is over.
        thread = threading.Thread(target=self._work, args=(line, answer), name=name, daemon=True)
        with self._lock:
            self._lines.append(line)
        self._threads.append(thread)
        thread.start()

    def _work(self, line: Line, answer: requests.Response | None) -> None:
        """What each thread does: part after part, until there is none that nobody works on."""
        with line:
            try:
                self._take_parts(line, answer)
            # Whoever reads is told, and raises it there.
            except BaseException as err:
                self._fail(err)

    def _fail(self, err: BaseException) -> None:
        with self._lock:
            if self._failure is None and not self._ending.is_set():
                self._failure = err
            self._arrived.notify_all()

    def _take_parts(self, line: Line, answer: requests.Response | None) -> None:
        tries = 0
        seen = -1
        while (index := self._take()) is not None:
            try:
                self._bring(index, line, answer)
            except Again as err:
                with self._lock:
                    self._board.give_back(index)
                    received = self._board.received
                if self._ending.is_set():
                    return
                # A server that refuses this connection, but serves the others, is no reason to
                # give up.
                tries = tries + 1 if received == seen else 1
                seen = received
                if tries >= retry.TRIES:
                    raise self._hopeless(err.why, received) from None
                pause = retry.pause(tries, chance(), err.asked)
                logger.debug("%s: %s; again in %.1f s", self._client.shown, err.why, pause)
                self._ending.wait(pause)
            answer = None

    def _take(self) -> int | None:
        with self._lock:
            is_over = self._ending.is_set() or self._failure is not None
            return None if is_over else self._board.take()

    def _bring(self, index: int, line: Line, answer: requests.Response | None) -> None:
        with self._lock:
            span = self._board.missing(index)
        if answer is None:
            validator = self._pinned.validator
            answer = self._client.ask(line, span, validator, connect=CONNECT_AGAIN)
        with closing(answer):
            check_part(self._client, answer, span, self._pinned)
            self._receive(answer, index, span)

    def _receive(self, answer: requests.Response, index: int, span: Span) -> None:
        at = span.first
        while at < span.end:
            if self._ending.is_set():
                raise Stopped
            try:
                data = answer.raw.read1(min(CHUNK, span.end - at), decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as err:
                why, _ = self._client.explain(err)
                raise Again(why) from None
            if not data:
                raise Again("the connection was closed")
            self._write(data, at)
            at += len(data)
            with self._lock:
                is_whole = self._board.advance(index, len(data))
                self._arrived.notify_all()
            if is_whole:
                self._ledger.note()

    def _write(self, data: bytes, at: int) -> None:
        # What is zero is a hole there already.
        if data.startswith(ZEROS[:64]) and data == ZEROS[: len(data)]:
            return
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._fd, view, at)
                view, at = view[count:], at + count
        except OSError as err:
            raise self._unwritten(err) from err

    def _settle(self) -> None:
        """What was read from memory is on disk as well."""
        try:
            self._ledger.sync()
        except OSError as err:
            raise self._unwritten(err) from err

    def _not_synced(self, err: OSError) -> None:
        self._fail(self._unwritten(err))

    def _unwritten(self, err: OSError) -> LauncherError:
        folder, total = self._files.folder, self._pinned.length
        return space.failure(err, folder, written=self._board.received, total=total)

    def _hopeless(self, why: str, received: int) -> SourceUnavailable:
        return SourceUnavailable(
            f"{self._client.shown}: the transfer ended after {received} of "
            f"{self._pinned.length} bytes: {why}, {retry.TRIES} times in a row",
            hint="try again; what came is kept, and the next try goes on from there",
        )

    def _done(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._board.done)
