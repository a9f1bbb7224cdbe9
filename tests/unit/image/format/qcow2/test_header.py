"""The header as it is read: everything in it, and nothing outside of it."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.image.format.qcow2 import header as spec
from launcher.image.format.qcow2.header import NotQcow2
from tests.unit.image.format.qcow2.headers import header


def test_a_plain_header_is_read_field_by_field() -> None:
    found = spec.parse(header())
    assert found.version == 3
    assert found.virtual_size == 1 << 30
    assert (found.cluster_bits, found.cluster_size) == (16, 65536)
    assert (found.l1_entries, found.l1_offset) == (2, 3 << 16)
    assert (found.refcount_table_offset, found.refcount_table_clusters) == (1 << 16, 1)
    assert (found.refcount_order, found.header_length) == (4, 112)
    assert (found.incompatible, found.compatible, found.autoclear) == (0, 0, 0)
    assert found.backing_file is None
    assert found.backing_format is None
    assert found.data_file is None
    assert not found.has_data_file
    assert not found.extended_l2
    assert found.extensions == ()


def test_version_2_ends_before_the_features() -> None:
    found = spec.parse(header(version=2, extensions=[(spec.BACKING_FORMAT, b"raw")]))
    assert (found.version, found.header_length, found.refcount_order) == (2, 72, 4)
    assert found.incompatible == 0
    assert found.backing_format == "raw"


def test_an_overlays_base_and_its_format_are_read() -> None:
    data = header(
        backing=b"/shared/sha256-00.qcow2",
        extensions=[(spec.BACKING_FORMAT, b"qcow2"), (0x6803F857, bytes(144))],
        cluster_bits=17,
        length=1 << 17,
        incompatible=spec.EXTENDED_L2,
    )
    found = spec.parse(data)
    assert found.backing_file == "/shared/sha256-00.qcow2"
    assert found.backing_format == "qcow2"
    assert found.extended_l2
    assert [kind for kind, _ in found.extensions] == [spec.BACKING_FORMAT, 0x6803F857]


def test_a_name_that_is_not_utf8_survives() -> None:
    found = spec.parse(header(backing=b"/\xff\xfe"))
    assert found.backing_file == "/\udcff\udcfe"


@pytest.mark.parametrize("bit", [True, False], ids=["feature bit", "no feature bit"])
def test_a_data_file_shows_by_its_bit_or_by_its_name(bit: bool) -> None:
    name = [] if bit else [(spec.DATA_FILE_NAME, b"/etc/shadow")]
    found = spec.parse(header(incompatible=spec.DATA_FILE if bit else 0, extensions=name))
    assert found.has_data_file
    assert found.data_file == (None if bit else "/etc/shadow")


def test_extensions_after_the_end_mark_do_not_count() -> None:
    hidden = struct.pack(">II", spec.DATA_FILE_NAME, 8) + b"/secrets"
    data = header(length=120) + hidden
    assert spec.parse(data.ljust(65536, b"\0")).extensions == ()


@pytest.mark.parametrize(
    ("size", "bits", "extended", "entries"),
    [
        (1, 16, False, 1),
        (512 << 20, 16, False, 1),
        ((512 << 20) + 512, 16, False, 2),
        (512 << 20, 16, True, 2),
        (1 << 30, 17, True, 1),
        (64 << 40, 16, False, 131072),
        (1 << 20, 9, False, 32),
    ],
)
def test_l1_entries_needed(size: int, bits: int, extended: bool, entries: int) -> None:
    data = header(
        virtual_size=size,
        cluster_bits=bits,
        incompatible=spec.EXTENDED_L2 if extended else 0,
        length=1 << bits,
    )
    assert spec.parse(data).l1_entries_needed == entries


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "does not start", id="empty"),
        pytest.param(b"QFI", "does not start", id="three bytes"),
        pytest.param(header(magic=b"QFI\xfa"), "does not start", id="another magic"),
        pytest.param(header(version=1), "version 1;", id="qcow, version 1"),
        pytest.param(header(version=4), "version 4;", id="version 4"),
        pytest.param(header(length=71, version=2), "ends inside", id="version 2 cut"),
        pytest.param(header(length=103), "ends inside", id="version 3 cut"),
        pytest.param(header(cluster_bits=8), "8 bits", id="clusters of 256 bytes"),
        pytest.param(header(cluster_bits=22), "22 bits", id="clusters of 4 MiB"),
        pytest.param(header(cluster_bits=1 << 31), "bits", id="clusters of 2^2^31 bytes"),
        pytest.param(header(header_length=72), "72 bytes", id="header too short"),
        pytest.param(header(header_length=109), "109 bytes", id="header length odd"),
        pytest.param(header(header_length=1 << 20), "1048576", id="header beyond its cluster"),
        pytest.param(
            header(cluster_bits=9, header_length=520), "more than there are", id="beyond 512"
        ),
        pytest.param(
            header(extensions=[(spec.DATA_FILE_NAME, b"")], length=120)[:-4]
            + b"\xff\xff\xff\xff"
            + bytes(65536),
            "4294967295 bytes",
            id="extension of 4 GiB",
        ),
        pytest.param(
            header(backing=b"x", backing_offset=1 << 40), "outside", id="backing name beyond"
        ),
        pytest.param(
            header(backing=b"x", backing_offset=65535, backing_size=2), "outside", id="name cut"
        ),
        pytest.param(
            header(backing=b"x", backing_size=1024), "outside", id="backing name of 1024 bytes"
        ),
    ],
)
def test_a_header_that_makes_no_sense_is_not_read(data: bytes, why: str) -> None:
    with pytest.raises(NotQcow2, match=why):
        spec.parse(data)


def test_read_takes_the_whole_first_cluster(tmp_path: Path) -> None:
    """The name of the backing file may lie anywhere in it."""
    data = bytearray(header(backing_offset=1 << 20, backing_size=5, cluster_bits=21))
    data = data.ljust(1 << 21, b"\0") + bytes(4096)
    data[1 << 20 : (1 << 20) + 5] = b"/base"
    path = tmp_path / "disk.qcow2"
    path.write_bytes(data)
    assert spec.read(path).backing_file == "/base"


def test_read_of_what_is_not_qcow2(tmp_path: Path) -> None:
    path = tmp_path / "page.qcow2"
    path.write_bytes(b"<html>")
    with pytest.raises(NotQcow2):
        spec.read(path)


@pytest.mark.parametrize("length", range(0, 400, 7))
def test_no_beginning_of_a_header_breaks_the_parser(length: int) -> None:
    data = header(
        backing=b"/base", extensions=[(spec.BACKING_FORMAT, b"qcow2"), (0x6803F857, bytes(144))]
    )
    with suppress(NotQcow2):
        spec.parse(data[:length])
