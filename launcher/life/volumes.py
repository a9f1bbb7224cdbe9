"""The volumes that a VM's disks are on, looked at beside the event loop: one that hangs, as network
storage does whose server is away, must not take startvm along."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from launcher.disk import space
from launcher.disk.space import Backing, Space
from launcher.host.errors import StorageError

T = TypeVar("T")

# Seconds that a look may take.
PATIENCE = 1.0
# The same for what somebody asked for.
ANSWER = 10.0


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


async def in_time(work: Callable[[], T], folder: Path) -> T:
    """What `work`, which reads from the volume `folder`, returns or raises.

    :raise StorageError: when the volume does not answer in time. Then `work` may still end.
    """
    future = in_thread(work)
    done, _ = await asyncio.wait({future}, timeout=ANSWER)
    if not done:
        future.cancel()
        raise StorageError(
            f"the volume {folder} did not answer within {ANSWER:g} s",
            hint="look after its storage, and try again",
        )
    return future.result()


def in_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """What `work` returns or raises. The thread is one that nobody waits for, not even at the end:
    asyncio's own are joined when the loop is closed."""
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def give(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def fail(err: Exception) -> None:
        if not future.done():
            future.set_exception(err)

    def run() -> None:
        # The loop may be closed by then.
        with suppress(RuntimeError):
            try:
                result = work()
            except Exception as err:
                loop.call_soon_threadsafe(fail, err)
            else:
                loop.call_soon_threadsafe(give, result)

    threading.Thread(target=run, daemon=True).start()
    return future
