"""qemu-img's command lines for a pet's overlay: how it is laid out, and how it grows. Pure."""

from launcher.disk.place import Place
from launcher.image.base import Base

GIB = 1 << 30

# Sub-clusters of 4 KiB: a small write to the base's data copies 4 KiB instead of a cluster, and
# the tables stay small enough to be cached whole.
LAYOUT = "extended_l2=on,cluster_size=128k"

# Bytes. Tables for all of the disk, made beforehand, are some 1/7000 of it: 37 MiB for this much.
MOST_PREALLOCATED = 256 * GIB


def options(size: int, *, sparse: bool) -> str:
    """How a new disk of `size` bytes is laid out, in the words of `qemu-img create -o`."""
    return f"{LAYOUT},preallocation={_preallocation(size, sparse)}"


def create_argv(place: Place, base: Base, size: int, *, sparse: bool) -> list[str]:
    """The command line for a new disk of `size` bytes.

    :param sparse: whether its file may be as long as the disk and take no space for it.
    """
    return [
        "qemu-img", "create", "-q",
        "-f", "qcow2",
        "-b", str(base.path),
        "-F", "qcow2",
        "-o", options(size, sparse=sparse),
        str(place.new_disk),
        str(size),
    ]  # fmt: skip


def grow_argv(place: Place, size: int, *, sparse: bool) -> list[str]:
    """The command line to grow the disk to `size` bytes. Growth is all it can do: to make a disk
    smaller it would want to be told `--shrink`.

    :param sparse: as for a new one.
    """
    return [
        "qemu-img", "resize", "-q",
        "-f", "qcow2",
        f"--preallocation={_preallocation(size, sparse)}",
        str(place.disk),
        str(size),
    ]  # fmt: skip


def _preallocation(size: int, sparse: bool) -> str:
    """With the tables there, first writes to a place need not wait for each other, as they do for
    a place in the file: several times as many of them in the same time."""
    return "metadata" if sparse and size <= MOST_PREALLOCATED else "off"
