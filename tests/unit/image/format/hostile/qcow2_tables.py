"""qcow2 images whose tables lead astray, though their headers are in order."""

from collections.abc import Iterable
from typing import Any

from launcher.image.format.qcow2 import header as spec
from tests.unit.image.format.hostile.trap import Trap, made
from tests.unit.image.format.qcow2.images import (
    BLOCK,
    CLUSTER,
    COPIED,
    DATA,
    FREE,
    L1,
    L2,
    PACKED,
    SNAPSHOT,
    TABLE,
    bitmap,
    bitmap_extension,
    image,
    packed,
    snapshots,
)

FAR = 1 << 40


def led_astray() -> Iterable[Trap]:
    """L1 and L2 tables."""
    yield from made(
        image,
        ("L2 table outside", r"L2 table at 1099511627776 lies beyond", {"l1": {0: COPIED | FAR}}),
        ("L2 table askew", "L2 table does not start at a cluster", {"l1": {0: COPIED | L2 + 512}}),
        ("L2 table in the L1 table", "L2 table at 196608 lies where", {"l1": {0: COPIED | L1}}),
        ("L1 entry of nothing", r"no sense \(0x8000000000000000\)", {"l1": {0: COPIED}}),
        ("L1 table over an L2 table", "L2 table at 262144 lies where", {"l1_entries": 8193}),
        ("L1 entry with unknown bits", "L1 entry that makes no sense", {"l1": {0: L2 | 1 << 60}}),
        (
            "one L2 table for all",
            "L1 entries lead to the L2 table at 262144 more than once",
            {"l1": dict.fromkeys(range(8192), L2), "l1_entries": 8192, "counts": {4: 8192}},
        ),
        ("data outside", "data at 1099511627776 lies beyond", {"l2": {9: COPIED | FAR}}),
        ("data askew", "L2 entry that makes no sense", {"l2": {9: COPIED | DATA + 512}}),
        ("L2 entry with unknown bits", "L2 entry that makes", {"l2": {9: COPIED | DATA | 1 << 56}}),
        ("zeros in version 2", r"no sense \(0x1\)", {"version": 2}),
        *(
            (f"data in the {name}", f"data at {place} lies in one of", {"l2": {9: COPIED | place}})
            for name, place in {
                "table of counts": TABLE,
                "counts": BLOCK,
                "L1 table": L1,
                "L2 table": L2,
            }.items()
        ),
        ("packed data outside", "lies beyond its end", {"l2": {9: packed(FAR, 1)}}),
        ("packed data in the header", "data at 8 lies in one", {"l2": {9: packed(8, 1)}}),
        (
            "packed data out of the tables",
            f"data at {DATA - 512} lies in",
            {"l2": {9: packed(DATA - 512, 2)}},
        ),
        (
            "packed data that runs into a table",
            f"data at {FREE - 512} lies in",
            SNAPSHOT | {"l2": {0: DATA, 9: packed(FREE - 512, 2)}},
        ),
        ("packed data to write to", "write to packed", {"l2": {1: COPIED | packed(PACKED, 2)}}),
    )
    for name, words, entry, bits in (
        ("there and zeros", "are zeros as well", COPIED | DATA, 1 << 32 | 1),
        ("nowhere", "in a cluster that is nowhere", 0, 1),
        ("of packed data", "subclusters in a compressed cluster", packed(PACKED, 2), 1),
        ("of packed zeros", "subclusters in a compressed cluster", packed(PACKED, 2), 1 << 32),
        ("in a cluster of zeros", r"no sense \(0x1\)", 1, 0),
    ):
        l2 = {0: entry, 1: bits, 2: 0}
        yield Trap(f"subclusters {name}", image(incompatible=spec.EXTENDED_L2, l2=l2), words)


def miscounted() -> Iterable[Trap]:
    """Reference counts."""
    sent = {9: COPIED | DATA}
    yield from made(
        image,
        ("counts outside", "count block at 1099511627776 lies beyond", {"table": {0: FAR}}),
        ("counts askew", "count block does not start", {"table": {0: BLOCK + 512}}),
        ("counts in the L2 table", "L2 table at 262144 lies where", {"table": {1: L2}}),
        ("counts that count themselves", "count block at 131072 lies", {"table": {1: BLOCK}}),
        ("counts with unknown bits", "an entry that is none", {"table": {0: BLOCK | 1}}),
        ("no counts", "call the cluster at 0 free", {"table": {0: 0}}),
        ("data called free", "call the cluster at 327680 free", {"counts": {5: 0}}),
        ("L2 table called free", "call the cluster at 262144 free", {"counts": {4: 0}}),
        ("counts called free", "call the cluster at 131072 free", {"counts": {2: 0}}),
        ("data used twice", "cluster at 327680 1 uses; it has 2", {"l2": sent}),
        ("data in common to write to", "disagree on", {"l2": sent, "counts": {5: 2}}),
        ("data of its own not to write to", "disagree on", {"l2": {0: DATA}}),
        ("L2 table in common to write to", "disagree on", {"counts": {4: 2}}),
        (
            "packed data used often",
            "1 uses; it has 9",
            {"l2": {number: packed(PACKED + 512 * number, 1) for number in range(1, 10)}},
        ),
    )
    tables = {FREE + number * CLUSTER: DATA.to_bytes(8) * (CLUSTER // 8) for number in range(9)}
    l1 = {number: COPIED | place for number, place in enumerate(tables)}
    yield Trap(
        "data used 73728 times",
        image(l1=l1, more=tables, l1_entries=9, virtual_size=9 << 29),
        "one of its clusters more than 65535 times",
    )


def cut_short() -> Iterable[Trap]:
    """All that a header tells of is there."""
    yield Trap(
        "cut before its data", image(cut=2 * CLUSTER), "at 327680 lies beyond its end at 327680"
    )
    yield Trap("cut inside its L2 table", image(cut=2 * CLUSTER + 80), "L2 table at 262144 lies")
    yield Trap("cut inside its L1 table", image(cut=4 * CLUSTER - 4), "L1 table lies beyond")
    yield Trap(
        "cut by a sector of packed data",
        image(cut=CLUSTER - 512),
        "at 393728 lies beyond its end at 393728",
    )
    yield Trap(
        "cut where packed data begins",
        image(cut=CLUSTER - 700, l2={1: packed(PACKED + 700, 1)}),
        f"lies beyond its end at {PACKED + 700}",
    )
    yield Trap(
        "cut before its counts",
        image(table={0: FREE}, counts={2: 0}),
        "count block at 458752 lies beyond its end at 458752",
    )


def of_snapshots() -> Iterable[Trap]:
    """Tables that a snapshot has of its own."""
    one: dict[str, Any] = {"snapshots": 1, "snapshots_offset": FREE}
    for name, words, table in (
        ("outside", "snapshot's L1 table at 1099511627776 lies", snapshots((FAR, 1))),
        ("askew", "snapshot's L1 table does not start", snapshots((FREE + 8, 1))),
        ("of 32 GiB", "L1 table claims 4294967295 entries", snapshots((L1, 0xFFFFFFFF))),
        ("of the disk", "snapshot's L1 table at 196608 lies where", snapshots((L1, 1))),
        ("in the table of snapshots", "L1 table at 458752 lies where", snapshots((FREE, 1))),
        ("cut", "table of snapshots is cut short", snapshots((FREE, 1))[:-9]),
    ):
        yield Trap(f"snapshot's L1 table {name}", image(more={FREE: table}, **one), words)
    silent = {FREE: snapshots((FREE + CLUSTER, 1), extra=[0]), FREE + CLUSTER: bytes(8)}
    yield Trap("snapshot of no size", image(more=silent, **one), "does not say how large")
    yield Trap(
        "snapshot of packed data that nobody counted",
        image(**SNAPSHOT | {"counts": {**SNAPSHOT["counts"], 6: 1}}),
        f"cluster at {PACKED} 1 uses; it has 2",
    )
    shared = {FREE: snapshots((FREE + CLUSTER, 1)), FREE + CLUSTER: (L2).to_bytes(8)}
    yield Trap(
        "snapshot that nobody counted",
        image(more=shared, counts={7: 1, 8: 1}, **one),
        "cluster at 262144 1 uses; it has 2",
    )


def of_bitmaps() -> Iterable[Trap]:
    """Bitmaps, which QEMU reads as soon as it opens the image."""
    for name, words, fields in (
        ("outside", "directory of bitmaps at 1099511627776 lies", {"offset": FAR}),
        ("askew", "directory of bitmaps does not", {"offset": FREE + 8}),
        ("of 1 TiB", "a directory of 1099511627776 bytes", {"length": FAR}),
        ("of nothing", "claims 0 bitmaps", {"count": 0}),
        ("of 2^32 entries", "claims 4294967295 bitmaps", {"count": 0xFFFFFFFF}),
        ("with unknown words", "claims 1 bitmaps", {"zeros": 1}),
        ("cut", "directory of bitmaps is cut short", {"count": 2}),
        ("too long", "has 32 bytes too many", {"length": 64}),
    ):
        more = {FREE: bitmap() + bytes(32), FREE + CLUSTER: bytes(8)}
        extension = bitmap_extension(**fields)
        trap = image(more=more, autoclear=1, extensions=[extension], counts={7: 1, 8: 1})
        yield Trap(f"directory of bitmaps {name}", trap, words)
    half = [(spec.BITMAPS, bytes(16))]
    yield Trap("half a word on bitmaps", image(autoclear=1, extensions=half), "has 16 bytes")
    for name, words, entry in (
        ("outside", "table of a bitmap at 1099511627776 lies", bitmap(FAR)),
        ("in the L1 table", "table of a bitmap at 196608 lies where|L1 table at", bitmap(L1)),
        ("nowhere", "a kind not known here", bitmap(0)),
        ("with unknown flags", "a kind not known here", bitmap(flags=4)),
        ("of another type", "a kind not known here", bitmap(kind=2)),
        ("of 1 byte each", "a kind not known here", bitmap(granularity=0)),
        ("of 4 GiB each", "a kind not known here", bitmap(granularity=32)),
        ("of an endless name", "a kind not known here", bitmap(name=b"n" * 1024)),
        ("of no size", "a kind not known here", bitmap(entries=0, flags=1)),
        ("without a name", "a kind not known here", bitmap(name=b"")),
        ("with more", "a kind not known here", bitmap(extra=8)),
        ("too large", "claims 2 clusters", bitmap(entries=2)),
        ("of 256 TiB", "claims 4294967295 clusters", bitmap(entries=0xFFFFFFFF, flags=1)),
    ):
        more = {FREE: entry, FREE + CLUSTER: bytes(8)}
        extension = bitmap_extension(length=len(entry))
        trap = image(more=more, autoclear=1, extensions=[extension], counts={7: 1, 8: 1})
        yield Trap(f"bitmap {name}", trap, words)
    twice = {FREE: bitmap() * 2, FREE + CLUSTER: bytes(8)}
    extension = bitmap_extension(2, 2 * len(bitmap()))
    yield Trap(
        "two bitmaps of one name",
        image(more=twice, autoclear=1, extensions=[extension]),
        "two bitmaps of one name",
    )
    for name, words, place in (
        ("outside", "a bitmap that is not in it", FAR),
        ("askew", "a bitmap that is not in it", DATA + 512),
        ("with unknown bits", "a bitmap that is not in it", 1 << 60 | FREE + CLUSTER),
        ("behind its end", "a bitmap that is not in it", FREE + 2 * CLUSTER),
        ("in the L2 table", "its bitmap at 262144 lies in", L2),
        ("in data", "cluster at 327680 1 uses; it has 2", DATA),
    ):
        more = {FREE: bitmap(), FREE + CLUSTER: place.to_bytes(8).ljust(CLUSTER, b"\0")}
        trap = image(more=more, autoclear=1, extensions=[bitmap_extension()], counts={7: 1, 8: 1})
        yield Trap(f"bitmap's bits {name}", trap, words)
