"""One image made to do harm, or several of one format."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

TIB = 1 << 40

# What the tests accept: IMG_MAX_SIZE as it is by default.
MOST = 2 * TIB


class Trap(NamedTuple):
    """`words`: a regular expression of what the refusal says."""

    name: str
    image: bytes
    words: str


def whole(start: bytes, clusters: int = 4) -> bytes:
    return start.ljust(clusters << 16, b"\0")


def made(make: Callable[..., bytes], *cases: tuple[str, str, dict[str, Any]]) -> Iterable[Trap]:
    """A trap for each name, words and what is to be different from a sane image."""
    for name, words, fields in cases:
        yield Trap(name, make(**fields), words)
