"""Which parts of a download are there, and which is next; and the list of them that is kept.

The list is a JSON object beside the data. It says what it belongs to, and names a part only when
that part is on disk for good.
"""

import heapq
import json
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from launcher.image.source.ranges import Pinned, Span
from launcher.image.store.record import Address

FORMAT = 1

# Amazon asks for 8 to 16 MiB; less costs requests, more costs what a break-off throws away.
PART = 16 << 20


class Listing(NamedTuple):
    """The parts that are on disk for good, and of what.

    `inode`: of the data's file, so that a list is never believed for other data of the same name.
    `done`: indexes of parts, sorted.
    """

    address: Address
    pinned: Pinned
    part_size: int
    inode: int
    done: tuple[int, ...]

    def to_json(self) -> str:
        whole: dict[str, Any] = {"format": FORMAT, "source": self.address.shown}
        if self.address.sha256:
            whole["source_sha256"] = self.address.sha256
        whole |= {
            "length": self.pinned.length,
            "validator": self.pinned.validator,
            "part_size": self.part_size,
            "inode": self.inode,
            "done": runs(self.done),
        }
        return json.dumps(whole) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """:raise ValueError: when `text` is not such a list."""
        try:
            whole = json.loads(text)
            if whole["format"] != FORMAT:
                raise ValueError(f"its format is {whole['format']}; {FORMAT} is known")
            length, size = int(whole["length"]), int(whole["part_size"])
            if length < 1 or size < 1:
                raise ValueError("it is of nothing")
            count = -(-length // size)
            done: list[int] = []
            for first, last in whole["done"]:
                if not 0 <= first <= last < count:
                    raise ValueError(f"it has parts {first} to {last} of {count}")
                done += range(first, last + 1)
            return cls(
                address=Address(str(whole["source"]), str(whole.get("source_sha256", ""))),
                pinned=Pinned(length, str(whole["validator"])),
                part_size=size,
                inode=int(whole["inode"]),
                done=tuple(sorted(set(done))),
            )
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"{err!r} while reading it") from err


def runs(indexes: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as first and last of those that follow each other: 0 1 2 5 → 0-2 5-5."""
    found: list[tuple[int, int]] = []
    for each in indexes:
        if found and found[-1][1] == each - 1:
            found[-1] = (found[-1][0], each)
        else:
            found.append((each, each))
    return found


class Board:
    """The state of all parts, while several connections work on them. Not locked by itself.

    Parts are given out in order, since whoever reads the data does so in order.
    """

    def __init__(self, length: int, size: int, done: Iterable[int] = ()) -> None:
        self.length = length
        self.size = size
        self.done = set(done)
        self._count = -(-length // size)
        self._next = 0
        self._returned: list[int] = []
        # Bytes of parts that are not done yet.
        self._have: dict[int, int] = {}
        self._front = 0
        self._pass_done()

    @property
    def is_complete(self) -> bool:
        return self._front == self._count

    @property
    def frontier(self) -> int:
        """How many bytes are there without a gap, from the first one on."""
        return min(self.length, self._front * self.size + self._have.get(self._front, 0))

    @property
    def received(self) -> int:
        """How many bytes are there in all."""
        whole = len(self.done) * self.size
        if self._count - 1 in self.done:
            whole -= self._count * self.size - self.length
        return whole + sum(self._have.values())

    def whole(self, index: int) -> Span:
        """All of a part."""
        return Span(index * self.size, min(self.length, (index + 1) * self.size))

    def missing(self, index: int) -> Span:
        """What of a part is not there yet."""
        first, end = self.whole(index)
        return Span(first + self._have.get(index, 0), end)

    def take(self) -> int | None:
        """The first part that nobody works on; None if there is none."""
        if self._returned:
            return heapq.heappop(self._returned)
        while self._next in self.done:
            self._next += 1
        if self._next >= self._count:
            return None
        self._next += 1
        return self._next - 1

    def give_back(self, index: int) -> None:
        """Nobody works on this part any more. What is there of it stays."""
        heapq.heappush(self._returned, index)

    def advance(self, index: int, count: int) -> bool:
        """So many more bytes of a part are there; returns whether that is all of it."""
        self._have[index] = self._have.get(index, 0) + count
        if self.missing(index).size > 0:
            return False
        del self._have[index]
        self.done.add(index)
        self._pass_done()
        return True

    def _pass_done(self) -> None:
        while self._front in self.done:
            self._front += 1
