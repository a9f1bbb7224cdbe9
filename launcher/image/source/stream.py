"""What every source is opened as."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from launcher.image.source.stamp import Stamp

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


def nothing() -> None:
    """There is nothing to do."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`chunks` come once, about 1 MiB each. `length`: how many bytes were promised, if any were.

    `is_open_ended`: when they end too soon, nobody notices here.

    `verb`: what happens to them, for people. `stamp`: of the source if that is a file.
    `name`: when all have come, gives the file that they are in another name, in place of an empty
    file of ours; returns where they are. None where nobody wrote them anywhere.
    `stop`: ends a wait for chunks, from another thread. `widen`: says that nothing is done with
    them that is slower than a network, so that as many connections as there can be are of use.
    """

    chunks: Iterator[bytes]
    length: int | None
    verb: str
    stamp: Stamp | None = None
    name: Callable[[Path], Path] | None = None
    stop: Callable[[], None] = nothing
    widen: Callable[[], None] = nothing
    is_open_ended: bool = False
