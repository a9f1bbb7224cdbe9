"""Who fetches an address right now: the record of a lease, and whether its holder lives. Pure.

::

    fetch-<key>.lease-<n>            held by the one who fetches; the highest n is in force
    fetch-<key>.lease-<n>.followed   somebody waits to be told how that ends

`<key>` stands for the address. The holder writes its record anew every few seconds, and holds a
lock on the file besides. One look at it must be enough to say "it lives", and no look may say "it
is dead" of one that does: a second fetch would only cost time, but one that goes on in the files
of a fetch that still writes to them would spoil both.
"""

import json
import re
from typing import Any, Literal, NamedTuple, Self
from zlib import crc32

NAME = re.compile(r"fetch-([0-9a-f]{32})\.lease-([0-9]{1,18})")

# Of the file, in bytes. Never more, never less: rewriting it in place can then not fail for want
# of space.
SIZE = 8192

# Bytes of each text in a record. JSON may double them; together they always fit.
MOST_BYTES = 700

Outcome = Literal["", "ready", "refused", "unavailable", "failed", "stopped"]

# How a file lock on the lease looks from here: somebody has it, nobody has it, or nobody knows.
Lock = Literal["held", "free", "unknown"]

# `ended`: by itself, and its record says how. `dead`: certainly, and without a word. `silent`: so
# long that it counts as dead, which it need not be.
State = Literal["alive", "ended", "dead", "silent"]


class Timing(NamedTuple):
    """What holder and followers keep to; seconds.

    `beat`: between two records of a holder. `patience`: how long its record may stay the same
    where the lock tells nothing. `poll`: between two looks of a follower.
    """

    beat: float = 2.0
    patience: float = 30.0
    poll: float = 0.5


TIMING = Timing()


class Kernel(NamedTuple):
    """Where a lock on a file of the shared volume counts: under one kernel (`boot`, its boot id),
    on one mounted file system (`device`, its number there). Two FUSE mounts of one volume have two
    tables of locks, though the kernel is the same."""

    boot: str
    device: int


class Claim(NamedTuple):
    """The record of a lease.

    `holder`: host name; `id`: random, drawn for each lease. `locked`: whether the holder has the
    lock, by which those at the same `kernel` know that it lives. `sole`: nobody else can still be
    writing to files of a fetch of this address. `asked`: digest of all that was asked for.
    `source`: the address as it may be shown. `beats`: how often the record was written. `doing`:
    a sentence. `outcome`: empty as long as it is at work; `message` and `hint` are of a failure.
    """

    holder: str
    id: str
    kernel: Kernel
    locked: bool
    sole: bool
    asked: str
    source: str
    beats: int = 0
    doing: str = ""
    outcome: Outcome = ""
    message: str = ""
    hint: str = ""

    def to_bytes(self) -> bytes:
        """`SIZE` bytes: a checksum, JSON, spaces."""
        whole = {
            "holder": _short(self.holder),
            "id": self.id,
            "boot": self.kernel.boot,
            "device": self.kernel.device,
            "locked": self.locked,
            "sole": self.sole,
            "asked": self.asked,
            "source": _short(self.source),
            "beats": self.beats,
            "doing": _short(self.doing),
            "outcome": self.outcome,
            "message": _short(self.message),
            "hint": _short(self.hint),
        }
        text = json.dumps(whole, ensure_ascii=False).encode()
        return b"%08x %b" % (crc32(text), text.ljust(SIZE - 10)) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self | None:
        """None for anything but a whole record: one that was read while it was written, say."""
        checksum, _, text = data.partition(b" ")
        text = text.rstrip(b" \n")
        try:
            if int(checksum, 16) != crc32(text):
                return None
            whole: dict[str, Any] = json.loads(text)
            kernel = Kernel(str(whole.pop("boot")), int(whole.pop("device")))
            return cls(kernel=kernel, **whole)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class Watch:
    """What one follower has seen of one lease. `sure`: whether "alive" is more than a guess."""

    def __init__(self, timing: Timing) -> None:
        self.sure = False
        self._patience = timing.patience
        # A look that comes late says nothing about the holder: perhaps it was the follower that
        # slept, or the volume that hung for both of them.
        self._longest = 4 * timing.poll
        self._still = 0.0
        self._then: float | None = None
        self._last: tuple[str, int] | None = None

    def see(self, claim: Claim | None, lock: Lock, here: Kernel, now: float) -> State:
        """Judge one look.

        :param claim: the record; None if it could not be read whole.
        :param lock: how the lock looked before the record was read: a holder writes its outcome
            first, and lets go of the lock then.
        :param here: the follower's own.
        :param now: seconds of the follower's own clock, which never goes back.
        """
        if claim and claim.outcome:
            return "ended"
        counts = claim is not None and claim.locked and claim.kernel == here
        if counts and lock == "free":
            return "dead"
        mark = (claim.id, claim.beats) if claim else self._last
        moved = self._last is not None and mark != self._last
        self.sure = moved or (counts and lock == "held")
        if self.sure or self._then is None:
            self._still = 0.0
        else:
            self._still += min(now - self._then, self._longest)
        self._then, self._last = now, mark
        return "silent" if self._still >= self._patience else "alive"


def key(source: str) -> str:
    """What leases of the address or path `source` are named by; it may hold secrets."""
    import hashlib

    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def asked(*what: object) -> str:
    """A digest of all that is asked for. Another's failure to bring the same is one's own."""
    import hashlib

    return hashlib.sha256(repr(what).encode("utf-8", "surrogateescape")).hexdigest()


def _short(text: str) -> str:
    """`text` on one line, of at most `MOST_BYTES` bytes; JSON escapes quotes and backslashes."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore")
