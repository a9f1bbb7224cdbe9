"""What the clusters of a qcow2 file are used for, as its tables tell: each table has clusters of
its own, data may have some in common."""

from array import array
from typing import NamedTuple, Self

from launcher.image.format.refusal import damaged, refused
from launcher.image.progress import size as shown_size

# Four bytes of memory for each. Clusters of 64 KiB: a file of 4 TiB; of 512 bytes: 32 GiB.
MOST = 1 << 26

# Which bits of an entry of a table say where something is.
OFFSET = 0x00FF_FFFF_FFFF_FE00

LARGER_HINT = (
    "`qemu-img convert -O qcow2 -o cluster_size=2M <old> <new>.qcow2`, run where the image is "
    "trusted, makes one with smaller tables"
)

# What `tables` says of a cluster.
NONE, TABLE, L2_TABLE = range(3)


class Clusters(NamedTuple):
    """`size`: bytes of the file. `uses`: how often each cluster of it is used, as far as its tables
    were read; `tables`: which clusters are no data."""

    bits: int
    size: int
    uses: "array[int]"
    tables: bytearray

    @classmethod
    def of(cls, bits: int, size: int) -> Self:
        """Those of a file of which nothing was read.

        :param bits: a cluster has 2^bits bytes.
        :raise ImageRefused: when there are too many of them.
        """
        count = -(-size >> bits)
        if count > MOST:
            raise refused(
                f"it takes {shown_size(size)} in clusters of {1 << bits} bytes, and only "
                f"{shown_size(MOST << bits)} of such are looked through",
                hint=LARGER_HINT,
            )
        return cls(bits, size, array("H", bytes(2 * count)), bytearray(count))

    @property
    def cluster_size(self) -> int:
        return 1 << self.bits

    def claim(self, name: str, offset: int, length: int, kind: int = TABLE) -> None:
        """Note a table called `name`, of `length` bytes, for messages without its article.

        :raise ImageRefused: when it cannot be there.
        """
        if offset % self.cluster_size:
            raise damaged(f"its {name} does not start at a cluster (offset {offset})")
        if offset + length > self.size:
            raise damaged(
                f"its {name} at {offset} lies beyond its end at {self.size}: the file is cut short"
            )
        first, end = offset >> self.bits, -(-(offset + length) >> self.bits)
        if any(self.tables[first:end]):
            raise damaged(f"its {name} at {offset} lies where another of its tables is")
        self.tables[first:end] = bytes([kind]) * (end - first)
        for cluster in range(first, end):
            self.uses[cluster] = 1
