"""What a run of qemu-img may take, by the size of the disk it works on.

Generous, since what it ends is begun anew, if at all: it is for what would never end.
"""

# Bytes. It has several threads, each with an arena and a stack of its own.
ADDRESS_SPACE = 4 << 30

# Whatever the size of a disk, in seconds.
LEAST_SECONDS = 600

# Bytes per second that any volume worth using exceeds, and any processor that packs them.
SLOWEST = 2 << 20

# Of the size of a disk: more than all its tables have, be each read and written several times.
TABLES = 1 / 100


def data(size: int) -> float:
    """Seconds to read and write all of a disk of `size` bytes."""
    return LEAST_SECONDS + size / SLOWEST


def tables(size: int) -> float:
    """Seconds to read and write the tables of a disk of `size` bytes."""
    return LEAST_SECONDS + size * TABLES / SLOWEST
