"""Tables that lead where they may; those that do not are in the table of hostile images."""

import io
import tracemalloc
from itertools import chain, repeat
from typing import Any

import pytest

from launcher.host.errors import ImageRefused
from launcher.image.format.qcow2 import clusters, header, policy, tables
from tests.unit.image.format.qcow2.images import (
    BITMAP,
    CLUSTER,
    COPIED,
    DATA,
    FREE,
    PACKED,
    SIZE,
    SNAPSHOT,
    bitmap,
    bitmap_extension,
    image,
    packed,
)

MOST = 2 << 40
WIDTHS = {0: "1 bit", 1: "2 bits", 2: "4 bits", 3: "1 byte", 5: "4 bytes", 6: "8 bytes"}


def judge(data: bytes) -> None:
    found = header.parse(data)
    policy.judge(found, MOST, len(data))
    tables.judge(io.BytesIO(data), found, len(data))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="one of each kind"),
        pytest.param({"version": 2, "l2": {2: 0}}, id="version 2"),
        pytest.param({"l2": {2: DATA | COPIED | 1, 0: 0}}, id="zeros that keep their place"),
        pytest.param({"l2": {5: COPIED}}, id="a flag and no place"),
        pytest.param(
            {
                "l1": {1: COPIED | FREE},
                "l1_entries": 2,
                "more": {FREE: bytes(CLUSTER)},
                "counts": {7: 1},
            },
            id="a table of nothing, behind the disk",
        ),
        pytest.param({"counts": {7: 5}, "more": {FREE: bytes(CLUSTER)}}, id="a lost cluster"),
        pytest.param({"counts": {9: 5}}, id="counts of clusters behind its end"),
        pytest.param({"counts": {6: 3}}, id="packed data counted too often"),
        pytest.param({"l2": {9: packed(PACKED + 700, 1)}, "counts": {6: 2}}, id="packed together"),
        pytest.param({"l2": {0: DATA, 9: DATA}, "counts": {5: 2}}, id="data in common"),
        pytest.param({"cut": CLUSTER - 1024}, id="ends with its packed data"),
        pytest.param({"cut": CLUSTER - 513}, id="ends inside the last sector of it"),
        pytest.param({"cut": 2 * CLUSTER - 1, "l2": {1: 0}}, id="the last cluster in part"),
        pytest.param(SNAPSHOT, id="a snapshot"),
        pytest.param(
            {
                "autoclear": 1,
                "extensions": [bitmap_extension()],
                "more": {FREE: bitmap(), FREE + CLUSTER: bytes(8)},
                "counts": {7: 1, 8: 1},
            },
            id="a bitmap of zeros",
        ),
        pytest.param(BITMAP, id="a bitmap"),
        pytest.param(
            BITMAP | {"more": {**BITMAP["more"], FREE + CLUSTER: (1).to_bytes(8)}},
            id="a bitmap of ones",
        ),
        pytest.param(
            BITMAP | {"more": {**BITMAP["more"], FREE: bitmap(entries=3, flags=1)}},
            id="a bitmap that somebody did not close",
        ),
        # One bit more than a cluster holds.
        pytest.param(
            BITMAP
            | {
                "virtual_size": (CLUSTER * 8 + 1) << 9,
                "more": {
                    FREE: bitmap(granularity=9, entries=2),
                    FREE + CLUSTER: bytes(16),
                    FREE + 2 * CLUSTER: bytes(8),
                },
            },
            id="a bitmap of a cluster and a bit",
        ),
        pytest.param({"extensions": [bitmap_extension(offset=1)]}, id="bitmaps of once"),
    ],
)
def test_what_is_in_order(fields: dict[str, Any]) -> None:
    judge(image(**fields))


@pytest.mark.parametrize("order", WIDTHS, ids=WIDTHS.get)
def test_counts_of_every_width(order: int) -> None:
    """Written by hand: seven clusters in use, the numbers of the first ones in the low bits."""
    counts = {
        0: b"\x7f",
        1: b"\x55\x15",
        2: b"\x11\x11\x11\x01",
        3: b"\1" * 7,
        5: b"\0\0\0\1" * 7,
        6: b"\0\0\0\0\0\0\0\1" * 7,
    }[order]
    judge(image(refcount_order=order, more={2 * CLUSTER: counts.ljust(CLUSTER, b"\0")}))
    # The last of them is that of the packed data.
    fewer = {0: b"\x3f", 1: b"\x55\x05", 2: b"\x11\x11\x11\0"}.get(order, counts[:-1] + b"\0")
    with pytest.raises(ImageRefused, match=f"cluster at {PACKED} free"):
        judge(image(refcount_order=order, more={2 * CLUSTER: fewer.ljust(CLUSTER, b"\0")}))


def test_every_end_of_a_file_that_is_cut() -> None:
    whole = image()
    # Up to the last sector of packed data.
    for length in range(512, PACKED + 1024, 512):
        with pytest.raises(ImageRefused, match=r"cut short|ends inside"):
            judge(whole[:length])
    judge(whole[: PACKED + 1024])


@pytest.mark.parametrize("looks", [1, 2, 3, 4, 5])
def test_it_ends_where_it_takes_too_long(looks: int) -> None:
    """Asked before each table: of L1, of a bitmap, of L2, of counts, and of L2 once more."""
    data = image(**BITMAP)
    found = header.parse(data)
    slow = chain([5.0] * looks, repeat(5.1 + tables.SECONDS))
    with pytest.raises(ImageRefused, match="its tables took more than 60 s of CPU"):
        tables.judge(io.BytesIO(data), found, len(data), lambda: next(slow))
    just = chain([5.0] * 6, repeat(5.1 + tables.SECONDS))
    tables.judge(io.BytesIO(data), found, len(data), lambda: next(just))


def test_more_clusters_than_anybody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    judge(image())
    monkeypatch.setattr(clusters, "MOST", SIZE // CLUSTER - 1)
    with pytest.raises(
        ImageRefused, match="it takes 448 KiB in clusters of 65536 bytes, and only 384 KiB"
    ):
        judge(image())


def test_a_file_of_holes_takes_little_memory() -> None:
    """One of 256 GiB, in clusters of 64 KiB, with all its tables at the beginning."""

    data = image()
    found = header.parse(data)
    tracemalloc.start()
    try:
        tables.judge(io.BytesIO(data), found, 256 << 30)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 32 << 20
