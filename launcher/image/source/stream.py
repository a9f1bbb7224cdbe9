"""What every source is opened as."""

from collections.abc import Iterator
from dataclasses import dataclass

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stream:
    """`chunks` come once, about 1 MiB each. `length`: how many bytes were promised, if any were.

    `verb`: what happens to them, for people. `mtime_ns`: of the source if that is a file, else 0.
    """

    chunks: Iterator[bytes]
    length: int | None
    verb: str
    mtime_ns: int = 0
