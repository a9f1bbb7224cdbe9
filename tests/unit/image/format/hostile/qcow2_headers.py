"""qcow2 images that name what is not theirs, or claim what is not there."""

from collections.abc import Iterable

from launcher.image.format.qcow2 import header as spec
from tests.unit.image.format.foreign_headers import MIB
from tests.unit.image.format.hostile.trap import TIB, Trap, made, whole
from tests.unit.image.format.qcow2.headers import header


def names_of_others() -> Iterable[Trap]:
    """Files and servers that QEMU would open on the image's behalf."""
    for kind, name in {
        "file": "/etc/shadow",
        "json": 'json:{"driver":"file","filename":"/etc/shadow"}',
        "nbd": "nbd://10.0.0.1:10809/secrets",
        "http": "http://169.254.169.254/latest/meta-data",
    }.items():
        start = name.split(":")[0]
        yield Trap(
            f"backing file by {kind}",
            whole(header(backing=name.encode())),
            f"backing file, '{start}",
        )
        data_file = (spec.DATA_FILE_NAME, name.encode())
        yield Trap(
            f"data file by {kind}",
            whole(header(incompatible=spec.DATA_FILE, extensions=[data_file])),
            f"data in another file, '{start}",
        )
    yield Trap(
        "data file by its bit", whole(header(incompatible=spec.DATA_FILE)), "in another file"
    )
    yield Trap(
        "data file by its name",
        whole(header(extensions=[(spec.DATA_FILE_NAME, b"/etc/shadow")])),
        "in another file, '/etc/shadow'",
    )
    # A raw disk that starts as a qcow2 image does cannot be told from one.
    raw = bytearray(header(backing=b"/etc/shadow").ljust(MIB, b"x"))
    raw[510:512] = b"\x55\xaa"
    yield Trap("raw disk with a qcow2 header", bytes(raw), "backing file, '/etc/shadow'")


def tables() -> Iterable[Trap]:
    """qcow2 headers that claim what is not there."""
    yield from made(
        lambda **fields: whole(header(**fields)),
        ("unknown features", r"\(bit 5, 63\)", {"incompatible": 1 << 63 | 1 << 5}),
        ("L1 bomb", "4294967295 entries, more than", {"l1_entries": 0xFFFFFFFF}),
        ("L1 outside", "L1 table lies beyond", {"l1_offset": 1 << 40}),
        ("refcount bomb", "count table claims", {"refcount_table_clusters": 0xFFFFFFFF}),
        ("refcounts of 2^64 bits", r"2\^64 bits", {"refcount_order": 64}),
        ("refcounts outside", "count table lies", {"refcount_table_offset": 1 << 40}),
        ("no refcounts", "claims 0 bytes", {"refcount_table_clusters": 0}),
        ("snapshot bomb", "65537 snapshots", {"snapshots": 65537, "snapshots_offset": 1 << 16}),
        (
            "snapshots outside",
            "of snapshots lies",
            {"snapshots": 9, "snapshots_offset": 1 << 40},
        ),
        (
            "subclusters of 16 bytes",
            "subclusters",
            {"incompatible": spec.EXTENDED_L2, "cluster_bits": 9, "virtual_size": 512},
        ),
        (
            "two words on bitmaps",
            "more than one header extension of the kind 0x23852875",
            {"extensions": [(spec.BITMAPS, bytes(24))] * 2},
        ),
        ("encrypted", "encrypted", {"crypt_method": 2}),
        ("corrupt", "marked as corrupt", {"incompatible": spec.CORRUPT}),
    )
    claimed = header(virtual_size=1024 * TIB, length=4096)
    yield Trap("1 PiB in 4 KiB", claimed, r"1024 TiB.*IMG_MAX_SIZE accepts 2\.0 TiB")
    yield Trap("cut inside its tables", header(), "the file is cut short")
    yield Trap("cut inside its header", header(length=80), "ends inside its header")
    yield Trap("version 1", whole(header(version=1)), "version 1;")
    endless = header(extensions=[(1, b"")], length=120)[:-4] + b"\xff" * 4
    yield Trap("extension of 4 GiB", whole(endless), "4294967295 bytes, too many")
