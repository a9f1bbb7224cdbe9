"""An iterator that runs ahead in a thread of its own, so that steps of one work overlap."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Self, TypeVar

T = TypeVar("T")

# Enough to even out steps whose speed varies; of blocks of 1 MiB it is no memory to speak of.
DEPTH = 4


class Ahead(Generic[T]):
    """What `items` give, in order; made by `ahead`."""

    def __init__(self, items: Iterator[T], interrupt: Callable[[], None], depth: int) -> None:
        self._items = items
        self._interrupt = interrupt
        self._depth = depth
        self._made: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_stopped = False
        self._is_over = False
        self._failure: BaseException | None = None
        # A signal's exception may come between its start and our knowing of it. Then it must not
        # keep the process.
        self.thread = threading.Thread(target=self._run, name="ahead", daemon=True)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._made or self._is_over or self._is_stopped)
            if self._is_stopped:
                raise StopIteration
            if self._made:
                self._changed.notify_all()
                return self._made.popleft()
            if self._failure is not None:
                raise self._failure
            raise StopIteration

    def stop(self) -> None:
        """End the thread soon, and whoever waits for an item of it."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._interrupt()

    def _run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    self._changed.wait_for(
                        lambda: self._is_stopped or len(self._made) < self._depth
                    )
                    if self._is_stopped:
                        return
                    self._made.append(item)
                    self._changed.notify_all()
        # Whoever waits for items gets it instead.
        except BaseException as err:
            self._failure = err
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()


@contextmanager
def ahead(
    items: Iterator[T], interrupt: Callable[[], None], depth: int = DEPTH
) -> Iterator[Ahead[T]]:
    """Make `items` in a thread, at most `depth` in advance; it ends with the context.

    What `items` raise is raised where they are asked for.

    :param interrupt: ends a wait of `items` themselves. It is called from another thread, also
        when they are at their end.
    """
    made = Ahead(items, interrupt, depth)
    try:
        made.thread.start()
        yield made
    finally:
        made.stop()
        if made.thread.is_alive():
            made.thread.join()
