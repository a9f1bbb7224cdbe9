"""What arrives is known by its bytes: images, packings, and the many things that are neither."""

import re

import pytest

from launcher.host.errors import ImageRefused
from launcher.image.format import content
from launcher.image.format.content import Kind
from tests.unit.image.format.qcow2.headers import header

BOOT_SECTOR = bytes(510) + b"\x55\xaa"


def at(offset: int, magic: bytes, behind: bytes = bytes(1 << 16)) -> bytes:
    return bytes(offset) + magic + behind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (header(), Kind.QCOW2),
        (b"\x1f\x8b\x08" + bytes(99), Kind.GZIP),
        (b"\xfd7zXZ\0" + bytes(99), Kind.XZ),
        (b"\x28\xb5\x2f\xfd" + bytes(99), Kind.ZSTD),
        (b"\x5a\x2a\x4d\x18" + bytes(99), Kind.ZSTD),
        (b"BZh9" + bytes(99), Kind.BZIP2),
        (b"KDMV" + bytes(99), Kind.VMDK),
        # A boot sector makes a disk of another format not raw.
        (b"KDMV" + bytes(506) + b"\x55\xaa", Kind.VMDK),
        (b"vhdxfile" + bytes(99), Kind.VHDX),
        (b"<<< Oracle VM VirtualBox".ljust(64) + b"\x7f\x10\xda\xbe", Kind.VDI),
        (at(257, b"ustar"), Kind.TAR),
        (BOOT_SECTOR + bytes(4096), Kind.RAW),
        (at(512, b"EFI PART"), Kind.RAW),
        (at(4096, b"EFI PART"), Kind.RAW),
    ],
)
def test_what_is_accepted(head: bytes, kind: Kind) -> None:
    assert content.identify(head, "IMG_SOURCE=/x") is kind


@pytest.mark.parametrize("packing", content.PACKINGS)
def test_an_image_inside_a_packing_is_accepted(packing: Kind) -> None:
    assert content.identify(header(), "IMG_SOURCE=/x", packing) is Kind.QCOW2


@pytest.mark.parametrize("outer", content.PACKINGS)
@pytest.mark.parametrize("inner", content.PACKINGS)
def test_a_packing_inside_a_packing_is_not(outer: Kind, inner: Kind) -> None:
    with pytest.raises(ImageRefused, match=f"packed once more, with {inner}"):
        content.identify(content.ACCEPTED[inner][0] + bytes(99), "IMG_SOURCE=/x", outer)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "is empty"),
        (b"COWD" + bytes(600), "VMDK.*qemu-img convert -f vmdk -O qcow2"),
        (b"# Disk DescriptorFile\nversion=1", "VMDK image's description"),
        (content.VHD + bytes(600), "VHD.*-f vpc"),
        (b"QED\0" + bytes(600), "QED"),
        (b"LUKS\xba\xbe" + bytes(600), "LUKS"),
        (b"PK\x03\x04" + bytes(600), "zip.*unpack"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(600), "7z"),
        (b"0707", "cpio"),
        (at(32769, b"CD001"), "ISO image"),
        # A boot sector makes an ISO image no disk, and a disk of another format not raw.
        (BOOT_SECTOR + bytes(32769 - 512) + b"CD001", "ISO image"),
        (b"COWD" + bytes(506) + b"\x55\xaa", "VMDK"),
        (
            b"<!DOCTYPE html><html><title>404",
            "web page instead of an image; it begins '<!DOCTYPE html>",
        ),
        (b"\xef\xbb\xbf \r\n<html lang=en>", "web page"),
        (b'<?xml version="1.0"?><Error>', "a message instead of an image; it begins '<.xml"),
        (b'{"error": "no such image"}', "a message instead of an image; it begins '{\"error"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "text; it begins 'version https:"),
        (b"\x7fELF\x02\x01\x01" + bytes(600), "nothing that is known; it begins 0x7f454c46"),
        (bytes(1 << 16), "nothing that is known; it begins 0x0000"),
        (b"\x1b[31mred" + bytes(600), "nothing that is known; it begins 0x1b5b"),
    ],
)
@pytest.mark.parametrize("inside", [None, Kind.XZ])
def test_what_is_refused(head: bytes, words: str, inside: Kind | None) -> None:
    with pytest.raises(ImageRefused) as caught:
        content.identify(head, "IMG_SOURCE=/x", inside)
    assert re.search(words, str(caught.value))
    assert "IMG_SOURCE=/x" in caught.value.message


def test_an_archive_may_be_packed_and_may_hold_no_packing() -> None:
    archive = at(257, b"ustar")
    assert content.identify(archive, "IMG_SOURCE=/x", Kind.XZ) is Kind.TAR
    assert content.identify(header(), "IMG_SOURCE=/x", Kind.TAR) is Kind.QCOW2
    for inner in (archive, b"\x1f\x8b\x08"):
        with pytest.raises(ImageRefused, match="packed once more"):
            content.identify(inner, "IMG_SOURCE=/x", Kind.TAR)


def test_a_cut_character_is_still_text() -> None:
    head = ("ä" * 100).encode()[:81]
    with pytest.raises(ImageRefused, match="begins 'ä"):
        content.identify(head, "IMG_SOURCE=/x")


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 512, 10 << 30])
def test_raw_images_of_whole_sectors(size: int) -> None:
    content.check_raw(size, bytes(512), "IMG_SOURCE=/x")


@pytest.mark.parametrize("size", [512, (1 << 20) - 512, (1 << 20) + 1, (10 << 30) - 1])
def test_raw_images_that_are_no_disk(size: int) -> None:
    with pytest.raises(ImageRefused, match=f"has {size} bytes"):
        content.check_raw(size, bytes(512), "IMG_SOURCE=/x")


def test_a_fixed_vhd_has_its_mark_at_its_end() -> None:
    with pytest.raises(ImageRefused, match=r"VHD.*-f vpc"):
        content.check_raw(2 << 20, content.VHD + bytes(504), "IMG_SOURCE=/x")
