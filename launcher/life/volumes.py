"""The volumes that a VM's disks are on, looked at beside the event loop: one that hangs, as network
storage does whose server is away, must not take startvm along."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from launcher.disk import space
from launcher.disk.space import Backing, Space

T = TypeVar("T")

# Seconds that a look may take.
PATIENCE = 1.0


class Volumes:
    """`backings`: the file of each disk, by the name of its block node."""

    def __init__(self, backings: Mapping[str, Backing]) -> None:
        self._backings = backings
        self._looks: dict[str, asyncio.Future[Space | None]] = {}

    async def space(self, node: str) -> Space | None:
        """The space that the disk has; None where nobody knows, or not in time."""
        backing = self._backings.get(node)
        if backing is None:
            return None
        look = self._looks.get(node)
        # One that hangs is waited for again, rather than joined by others.
        if look is None or look.done():
            look = self._looks[node] = in_thread(lambda: space.look(backing))
        done, _ = await asyncio.wait({look}, timeout=PATIENCE)
        return look.result() if done else None


def in_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """What `work` returns, which is not to raise. The thread is one that nobody waits for, not even
    at the end: asyncio's own are joined when the loop is closed."""
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def give(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def run() -> None:
        result = work()
        # The loop may be closed by then.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(give, result)

    threading.Thread(target=run, daemon=True).start()
    return future
