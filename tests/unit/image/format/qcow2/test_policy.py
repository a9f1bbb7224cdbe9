"""Each way in which a fetched image may be a trap, refused with words of its own."""

import re
from typing import Any

import pytest

from launcher.host.errors import ImageRefused
from launcher.image.format.qcow2 import header as spec
from launcher.image.format.qcow2 import policy
from tests.unit.image.format.qcow2.headers import header

SIZE = 4 << 16
MOST = 2 << 40


def judge(**fields: Any) -> None:
    policy.judge(spec.parse(header(**fields)), MOST, SIZE)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="version 3"),
        pytest.param({"version": 2}, id="version 2"),
        pytest.param({"compatible": 1}, id="lazy refcounts"),
        pytest.param({"compatible": 1 << 60}, id="unknown compatible feature"),
        pytest.param({"autoclear": 1}, id="bitmaps"),
        pytest.param({"incompatible": spec.COMPRESSION, "compression_type": 1}, id="zstd clusters"),
        pytest.param({"incompatible": spec.EXTENDED_L2, "l1_entries": 4}, id="subclusters"),
        pytest.param({"l1_entries": 4}, id="more L1 entries than needed"),
        pytest.param({"virtual_size": 512}, id="one sector"),
        pytest.param({"virtual_size": MOST, "l1_entries": 4096}, id="as large as is accepted"),
        pytest.param({"snapshots": 1, "snapshots_offset": 3 << 16}, id="a snapshot"),
        # QEMU once looked for a place for none of them, and that may be behind the end.
        pytest.param({"snapshots_offset": 9 << 16}, id="no snapshots any more"),
        pytest.param({"extensions": [(0x12345678, b"whatever")]}, id="unknown extension"),
    ],
)
def test_images_that_stand_alone_are_accepted(fields: dict[str, Any]) -> None:
    judge(**fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"backing": b"/etc/shadow"}, "backing file, '/etc/shadow'", id="backing"),
        pytest.param({"backing": b"nbd://10.0.0.1"}, "backing file, 'nbd:", id="backing on nbd"),
        pytest.param({"backing": b'json:{"driver":"file"}'}, "backing file", id="backing json"),
        pytest.param(
            {"backing_offset": 1024, "backing_size": 0}, "backing file, ''", id="nameless backing"
        ),
        pytest.param({"incompatible": spec.DATA_FILE}, "in another file$", id="data file bit"),
        pytest.param(
            {
                "incompatible": spec.DATA_FILE,
                "extensions": [(spec.DATA_FILE_NAME, b"/etc/shadow")],
            },
            "in another file, '/etc/shadow'",
            id="data file",
        ),
        pytest.param(
            {"extensions": [(spec.DATA_FILE_NAME, b"x")]}, "another file", id="data file name only"
        ),
        pytest.param({"crypt_method": 1}, "encrypted", id="AES"),
        pytest.param({"crypt_method": 2}, "encrypted", id="LUKS"),
        pytest.param(
            {"extensions": [(spec.FULL_DISK_ENCRYPTION, bytes(16))]}, "encrypted", id="LUKS header"
        ),
        pytest.param({"incompatible": spec.DIRTY}, "not closed cleanly", id="dirty"),
        pytest.param({"incompatible": spec.CORRUPT}, "marked as corrupt", id="corrupt"),
        pytest.param({"incompatible": 1 << 5}, r"\(bit 5\)", id="unknown bit 5"),
        pytest.param({"incompatible": 1 << 63 | 1 << 40}, r"\(bit 40, 63\)", id="unknown bits"),
        pytest.param(
            {"incompatible": spec.COMPRESSION, "compression_type": 2}, "packed", id="compression 2"
        ),
        pytest.param({"compression_type": 1}, "contradict", id="compression without its bit"),
        pytest.param({"incompatible": spec.COMPRESSION}, "contradict", id="bit without it"),
        pytest.param(
            {
                "incompatible": spec.EXTENDED_L2,
                "cluster_bits": 13,
                "virtual_size": 1 << 20,
                "l1_offset": 1 << 16,
            },
            "subclusters",
            id="subclusters in small clusters",
        ),
        pytest.param({"refcount_order": 7}, r"2\^7 bits", id="refcounts of 128 bits"),
        pytest.param({"virtual_size": 0}, "disk of 0 bytes", id="no disk"),
        pytest.param({"virtual_size": 1000}, "sectors", id="half a sector"),
        pytest.param(
            {"virtual_size": MOST + 512, "l1_entries": 4097},
            "IMG_MAX_SIZE accepts 2.0 TiB",
            id="a sector too many",
        ),
        pytest.param({"virtual_size": 1 << 63, "l1_entries": 2}, "IMG_MAX_SIZE", id="8 EiB"),
        pytest.param({"l1_entries": 1}, "1 entries, too few", id="L1 too short"),
        pytest.param({"l1_entries": 0}, "0 entries, too few", id="L1 empty"),
        pytest.param({"l1_entries": 0xFFFFFFFF}, "more than QEMU reads", id="L1 bomb"),
        pytest.param({"l1_offset": 0}, "L1 table does not start", id="L1 nowhere"),
        pytest.param({"l1_offset": 3 << 16 | 8}, "L1 table does not start", id="L1 askew"),
        pytest.param({"l1_offset": 9 << 16}, "L1 table lies beyond", id="L1 cut off"),
        pytest.param({"refcount_table_clusters": 0}, "claims 0 bytes", id="no refcounts"),
        pytest.param({"refcount_table_clusters": 1 << 31}, "8 MiB", id="refcount table bomb"),
        pytest.param({"refcount_table_offset": 1}, "count table does not start", id="refs askew"),
        pytest.param({"refcount_table_offset": 1 << 40}, "count table lies", id="refs cut off"),
        pytest.param({"snapshots": 65537, "snapshots_offset": 65536}, "65537", id="snapshots"),
        pytest.param({"snapshots_offset": 99}, "table of snapshots does not", id="none askew"),
        pytest.param(
            {"extensions": [(spec.BACKING_FORMAT, b"raw"), (1, b""), (spec.BACKING_FORMAT, b"x")]},
            "more than one header extension of the kind 0xe2792aca",
            id="two extensions",
        ),
        pytest.param(
            {"snapshots": 1, "snapshots_offset": 99},
            "table of snapshots does not",
            id="snaps askew",
        ),
    ],
)
def test_traps_are_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ImageRefused) as caught:
        judge(**fields)
    # One reason for one wrong thing, so that the words are about what is wrong.
    assert "\n" not in caught.value.message
    assert re.search(why, caught.value.message)


def test_all_reasons_are_told_at_once() -> None:
    with pytest.raises(ImageRefused) as caught:
        judge(backing=b"/etc/passwd", incompatible=spec.CORRUPT, virtual_size=0)
    text = str(caught.value)
    assert text.count("\n  - ") == 3
    assert "/etc/passwd" in text
    assert "corrupt" in text
    assert "0 bytes" in text
    assert "qemu-img convert" in text


def test_without_a_size_only_the_header_counts() -> None:
    """The rest of the file has not arrived yet."""
    policy.judge(spec.parse(header(l1_offset=1 << 30)), MOST)
    with pytest.raises(ImageRefused):
        policy.judge(spec.parse(header(l1_offset=1 << 30)), MOST, SIZE)
