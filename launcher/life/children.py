"""Children as an event loop sees them: their end awaited, their stderr relayed to our log."""

import asyncio
import logging
import os
from collections import deque

from launcher.host.process import Child

# Lines of a child's stderr that are kept to explain its end.
KEPT_LINES = 20


async def end_of(child: Child) -> int:
    """Wait for the child's end. Returns its exit status, negative for a signal."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(child.pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(child.pidfd)
    status = child.status()
    if status is None:
        raise AssertionError(f"the pidfd of {child.name} is readable, but it has not ended")
    return status


async def relay(child: Child, level: int = logging.INFO) -> tuple[str, ...]:
    """Log each line of the child's stderr at `level`, under its name, until it ends.

    Returns the last `KEPT_LINES` of them.
    """
    if child.stderr is None:
        return ()
    logger = logging.getLogger(child.name)
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    reader = asyncio.StreamReader()
    # A descriptor of its own: the transport closes what it is given, and the child's is not ours.
    pipe = os.fdopen(os.dup(child.stderr), "rb")
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        while line := await _line(reader):
            text = line.decode(errors="replace").rstrip()
            kept.append(text)
            logger.log(level, "%s", text)
    finally:
        transport.close()
    return tuple(kept)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end. What is too long for one comes in pieces: a pipe that
    nobody empties would stop the child."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as err:
        return err.partial
    except asyncio.LimitOverrunError as err:
        return await reader.readexactly(err.consumed)
