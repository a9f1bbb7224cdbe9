"""What QEMU's I/O errors mean in words, and when a VM that was stopped by one may go on. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from launcher.disk.space import Space
from launcher.image.progress import size

MIB = 1 << 20

# Seconds before a VM is let go on without a sign that it may help, doubled each time. The sign is
# more space; storage that was away gives none when it is back, and neither does a quota.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0


class IoError(NamedTuple):
    """QMP's BLOCK_IO_ERROR. `is_full`: the storage had no space left."""

    node: str
    operation: str
    reason: str
    is_full: bool

    def __str__(self) -> str:
        full = " (no space left)" if self.is_full else ""
        return f"disk {self.node}: {self.operation} failed: {self.reason}{full}"


def of(data: Mapping[str, Any]) -> IoError:
    """The error from the event's data."""
    return IoError(
        # The node has no name when the drive is empty.
        node=data.get("node-name") or data["device"],
        operation=data["operation"],
        reason=data.get("reason", "unknown reason"),
        is_full=data.get("nospace", False),
    )


def shortage(space: Space) -> str:
    """How much is missing, and where."""
    text = (
        f"{space.path.parent} has {size(space.free)} of {size(space.total)} free, and "
        f"{space.path.name} may still take {size(space.growth)}"
    )
    return text + (f": up to {size(space.missing)} are missing" if space.missing else "")


def enough(total: int) -> int:
    """Bytes that have to be free beyond what was when the VM stopped, on a volume of `total` bytes.

    A hundredth, so that the VM does not stop again at once: 64 MiB at most, which somebody who
    makes room on a large volume has made soon; 1 MiB at least, eight of the pet's clusters.
    """
    return max(MIB, min(64 * MIB, total // 100))


def has_room(before: Space | None, now: Space | None) -> bool:
    """Whether there is so much more space than `before` that going on is worth it."""
    if before is None or now is None:
        return False
    return now.free >= before.free + enough(now.total)


def pause(attempts: int) -> float:
    """Seconds to wait after that many attempts in vain."""
    return float(min(FIRST_PAUSE * 2 ** min(attempts, 16), LONGEST_PAUSE))


def outlook(error: IoError, space: Space | None) -> str:
    """How it stands with a VM that the error stopped, and what has to happen for it to go on."""
    if error.is_full and space:
        more = size(enough(space.total))
        return (
            f"{shortage(space)}; the VM is paused, and goes on by itself once {more} more is free"
        )
    return "the VM is paused, and goes on by itself once the storage takes it"
