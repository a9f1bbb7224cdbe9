"""The table of snapshots, whatever a QEMU that its guest has taken over wrote there."""

import io
import struct
from pathlib import Path

import pytest

from launcher.image.format.qcow2 import snapshots
from launcher.image.format.qcow2.header import NotQcow2
from launcher.image.format.qcow2.snapshots import Snapshot
from tests.unit.disk.sample import header_bytes

AT = 1 << 16


def entry(
    name: bytes, seconds: int = 5, extra: bytes = b"", extra_length: int | None = None
) -> bytes:
    length = len(extra) if extra_length is None else extra_length
    head = struct.pack(">QIHHIIQII", 0, 1, 1, len(name), seconds, 7, 0, 0, length)
    data = head + extra + b"1" + name
    return data.ljust(-(-len(data) // 8) * 8, b"\0")


def image(folder: Path, count: int, table: bytes) -> Path:
    data = bytearray(header_bytes())
    data[60:72] = struct.pack(">IQ", count, AT)
    path = folder / "x.qcow2"
    path.write_bytes(bytes(data) + table)
    return path


def test_names_moments_and_sizes(tmp_path: Path) -> None:
    table = entry(b"early", extra=struct.pack(">QQ", 0, 1 << 30)) + entry(b"late", 6)
    assert snapshots.read(image(tmp_path, 2, table)) == (
        Snapshot("early", 5_000_000_007, 1 << 30),
        Snapshot("late", 6_000_000_007, None),
    )


def test_none(tmp_path: Path) -> None:
    assert snapshots.read(image(tmp_path, 0, b"")) == ()


@pytest.mark.parametrize(
    ("count", "table"),
    [
        (2, entry(b"early")),
        (1, entry(b"early")[:30]),
        (1, entry(b"early", extra_length=1 << 31)),
        (0xFFFFFFFF, entry(b"early")),
    ],
)
def test_nonsense(tmp_path: Path, count: int, table: bytes) -> None:
    with pytest.raises(NotQcow2, match="its table of snapshots makes no sense"):
        snapshots.read(image(tmp_path, count, table))


@pytest.mark.parametrize(
    ("count", "offset", "why"),
    [
        (65537, 0, "claims 65537 snapshots"),
        (1, 1 << 63, "is said to be at 9223372036854775808"),
        (1, 0, "claims 2048 bytes of extra data"),
        (2, 2200, "takes more than 64 MiB"),
    ],
)
def test_what_takes_too_much(
    monkeypatch: pytest.MonkeyPatch, count: int, offset: int, why: str
) -> None:
    table = io.BytesIO(entry(b"extra", extra=bytes(2048)).ljust(2200, b"\0") + entry(b"name") * 2)
    monkeypatch.setattr(snapshots, "MOST_BYTES", 2 * len(entry(b"name")) - 8)
    with pytest.raises(NotQcow2, match=why):
        list(snapshots.entries(table, count, offset))
