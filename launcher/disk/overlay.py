"""qemu-img's command lines for a pet's overlay: how it is laid out, and how it grows. Pure."""

from launcher.disk.place import Place
from launcher.image.base import Base

GIB = 1 << 30

# Sub-clusters of 4 KiB: a small write to the base's data copies 4 KiB instead of a cluster, and
# the tables stay small enough to be cached whole.
LAYOUT = "extended_l2=on,cluster_size=128k"

# Seconds for what does not depend on the disk's size.
PATIENCE = 60.0

# Of the disk's size: what tables for all of it take.
TABLES = 1 / 7000

# Bytes. Tables for this much take 37 MiB, about as much as QEMU keeps of them in memory.
MOST_PREALLOCATED = 256 * GIB

# Of a volume's free space: more than this should not be tables with nothing in them.
MOST_TABLES = 1 / 16


def preallocates(size: int, *, has_holes: bool, free: int | None) -> bool:
    """Whether tables for a disk of `size` bytes are made beforehand.

    With them, first writes need not wait for each other until each has its place in the file: side
    by side there are several times as many in the same time. The file gets as long as the disk.

    :param has_holes: whether it takes no more space for that, and whoever copies it can tell.
    :param free: bytes that its volume has, None where that is not known.
    """
    if not has_holes or free is None:
        return False
    return size <= MOST_PREALLOCATED and size * TABLES <= free * MOST_TABLES


def patience(size: int, *, preallocate: bool) -> float:
    """Seconds that qemu-img may take for a disk of `size` bytes, or to grow one to them.

    It flushes four times for each GiB of tables (seen with QEMU 7.2), and storage that is far away
    and busy may take half a second for each.
    """
    return PATIENCE + (2.0 * size / GIB if preallocate else 0.0)


def options(*, preallocate: bool) -> str:
    """How a new disk is laid out, in the words of `qemu-img create -o`."""
    return f"{LAYOUT},preallocation={_way(preallocate)}"


def create_argv(place: Place, base: Base, size: int, *, preallocate: bool) -> list[str]:
    """The command line for a new disk of `size` bytes."""
    return [
        "qemu-img", "create", "-q",
        "-f", "qcow2",
        "-b", str(base.path),
        "-F", "qcow2",
        "-o", options(preallocate=preallocate),
        str(place.new_disk),
        str(size),
    ]  # fmt: skip


def grow_argv(place: Place, size: int, *, preallocate: bool) -> list[str]:
    """The command line to grow the disk to `size` bytes. Growth is all it can do: to make a disk
    smaller it would want to be told `--shrink`."""
    return [
        "qemu-img", "resize", "-q",
        "-f", "qcow2",
        f"--preallocation={_way(preallocate)}",
        str(place.disk),
        str(size),
    ]  # fmt: skip


def _way(preallocate: bool) -> str:
    return "metadata" if preallocate else "off"
