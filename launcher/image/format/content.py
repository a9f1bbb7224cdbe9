"""What a stream of bytes is, told by its first bytes and never by its name.

The format is decided here, once, and passed on with `-f` ever after: a guest can write any header
onto a raw disk, and whatever probes that disk later would believe it (CVE-2026-24708).
"""

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain

from launcher.host.errors import ImageRefused

# As much as identify() may look at: the first cluster of any qcow2 image, and far more than the
# 32 KiB after which an ISO image says what it is.
HEAD = 2 << 20

SECTOR = 512
LEAST_RAW = 1 << 20


class Kind(StrEnum):
    """Those of disks are QEMU's names for them, as `qemu-img -f` takes them."""

    QCOW2 = "qcow2"
    RAW = "raw"
    VMDK = "vmdk"
    VHDX = "vhdx"
    VDI = "vdi"
    TAR = "tar"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    BZIP2 = "bzip2"


PACKINGS = (Kind.GZIP, Kind.XZ, Kind.ZSTD, Kind.BZIP2)
# Disks that become qcow2 by way of qemu-img, which parses them.
FOREIGN = (Kind.VMDK, Kind.VHDX, Kind.VDI)

ACCEPTED = {
    Kind.QCOW2: (b"QFI\xfb",),
    Kind.GZIP: (b"\x1f\x8b",),
    Kind.XZ: (b"\xfd7zXZ\0",),
    # A frame, or one of sixteen kinds of frame that are to be skipped (RFC 8878).
    Kind.ZSTD: (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60))),
    Kind.BZIP2: (b"BZh",),
}

# By offset and magic. VDI has a text of the maker's choice before it.
PLACED = (
    (0, b"KDMV", Kind.VMDK),
    (0, b"vhdxfile", Kind.VHDX),
    (64, b"\x7f\x10\xda\xbe", Kind.VDI),
    (257, b"ustar", Kind.TAR),
)

# At the start of a dynamic one; a fixed one is a raw disk with this in one sector more at its end.
VHD = b"conectix"  # codespell:ignore

# What else people point at, by offset and magic: the name, then its name for `qemu-img -f`, if any.
DISKS = (
    (0, b"COWD", "a VMDK image as the first ESX wrote them", "vmdk"),
    (0, b"# Disk DescriptorFile", "a VMDK image's description, without its data", ""),
    (0, VHD, "a VHD image", "vpc"),
    (0, b"QED\0", "a QED image", "qed"),
    (0, b"WithoutFreeSpace", "a Parallels image", "parallels"),
    (0, b"WithouFreSpacExt", "a Parallels image", "parallels"),
    (0, b"LUKS\xba\xbe", "an encrypted LUKS volume", ""),
    (0, b"MSWIM\0\0\0", "a Windows WIM image", ""),
    (0, b"hsqs", "a squashfs file system, not a disk", ""),
)
ARCHIVES = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"Rar!\x1a\x07", "a rar archive"),
    (0, b"!<arch>\n", "an ar archive or a Debian package"),
    (0, b"0707", "a cpio archive"),
    (0, b"LZIP", "packed with lzip"),
    (0, b"\x04\x22\x4d\x18", "packed with lz4"),
    (0, b"\x89LZO", "packed with lzop"),
)
ISO = (32769, b"CD001")
WEB_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--", b"<script")

CONVERT_HINT = "convert it first: qemu-img convert -f {} -O qcow2 <that file> disk.qcow2"
ACCEPTED_HINT = (
    "qcow2, raw, VMDK, VHDX and VDI disk images are accepted, plain or packed with gz, xz, zst or "
    "bz2, also as the one disk in a tar or OVA archive"
)


class NotADisk(ImageRefused):
    """Nothing that anybody would take for a VM's disk; such things lie beside disks in archives."""


def identify(head: bytes, source: str, inside: Kind | None = None) -> Kind:
    """Tell what begins with `head`, the first `HEAD` bytes or all there are.

    :param source: where it came from, for the message; nothing secret.
    :param inside: the packing or archive that it came out of. An archive may be packed, and that is
        all that may be inside of each other.
    :raise NotADisk: for texts, CDs and whatever else is no disk, nor holds one.
    :raise ImageRefused: for a disk or a packing that cannot be used.
    """
    where = f"{source} is" if inside is None else f"{source}, unpacked from {inside}, is"
    if not head:
        raise NotADisk(f"{where} empty")
    kind = _accepted(head)
    if (kind in PACKINGS and inside is not None) or (kind is Kind.TAR and inside is Kind.TAR):
        raise ImageRefused(
            f"{where} packed once more, with {kind}",
            hint="one layer of packing is accepted: unpack it once",
        )
    if kind is not None:
        return kind
    if _has(head, *ISO):
        # Many are bootable disks as well. Guessing which of the two was meant is how formats get
        # confused, and nothing that such a system writes would be found where it expects it.
        raise NotADisk(
            f"{where} an ISO image, a CD or DVD",
            hint="the image of an installed disk is needed, such as a distribution's cloud image",
        )
    for offset, magic, name, qemu_name in DISKS:
        if _has(head, offset, magic):
            hint = CONVERT_HINT.format(qemu_name) if qemu_name else ACCEPTED_HINT
            raise ImageRefused(f"{where} {name}", hint=hint)
    for offset, magic, name in ARCHIVES:
        if _has(head, offset, magic):
            raise ImageRefused(f"{where} {name}", hint=f"unpack it first; {ACCEPTED_HINT}")
    if _boots(head):
        return Kind.RAW
    raise _not_an_image(head, where)


def _accepted(head: bytes) -> Kind | None:
    for kind, magics in ACCEPTED.items():
        if head.startswith(magics):
            return kind
    return next((kind for offset, magic, kind in PLACED if _has(head, offset, magic)), None)


def peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first `HEAD` bytes, or all there are; and all of `chunks`."""
    taken: list[bytes] = []
    size = 0
    while size < HEAD and (chunk := next(chunks, None)) is not None:
        taken.append(chunk)
        size += len(chunk)
    return b"".join(taken), chain(taken, chunks)


def check_raw(size: int, last_sector: bytes, source: str) -> None:
    """Refuse a raw image that cannot be a disk.

    :param size: bytes of the whole image.
    :param last_sector: its last 512 bytes.
    :raise ImageRefused:
    """
    if size < LEAST_RAW or size % SECTOR:
        raise ImageRefused(
            f"{source} starts as a raw disk image does, but has {size} bytes; accepted: a multiple "
            "of 512, and 1 MiB at least",
            hint="it may have been cut short where it comes from",
        )
    if last_sector.startswith(VHD):
        raise ImageRefused(f"{source} is a VHD image", hint=CONVERT_HINT.format("vpc"))


def _boots(head: bytes) -> bool:
    """Whether a disk that begins so has a boot sector, or a GPT (sectors of 512 or 4096 bytes).

    Raw images have no magic. Without either of these no firmware would boot it, and taking it
    anyway would turn any damaged or wrong download into a "disk".
    """
    return (
        head[510:512] == b"\x55\xaa"
        or head[512:520] == b"EFI PART"
        or head[4096:4104] == b"EFI PART"
    )


def _has(head: bytes, offset: int, magic: bytes) -> bool:
    return head[offset : offset + len(magic)] == magic


def _not_an_image(head: bytes, where: str) -> NotADisk:
    shown = _shown(head)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if start.startswith(WEB_PAGES):
        return NotADisk(
            f"{where} a web page instead of an image; it begins {shown}",
            hint="the address of the file itself is needed, not of a page about it",
        )
    if start.startswith((b"<?xml", b"<", b"{", b"[")) and shown.startswith("'"):
        return NotADisk(
            f"{where} a message instead of an image; it begins {shown}",
            hint="look at all of it, with curl say",
        )
    kind = "text" if shown.startswith("'") else "nothing that is known"
    return NotADisk(f"{where} {kind}; it begins {shown}", hint=ACCEPTED_HINT)


def _shown(head: bytes) -> str:
    """The first bytes for a message: as quoted text where they are that, else in hex."""
    try:
        # A character cut in half at the end is no reason to call it binary.
        text = head[:80].decode(errors="strict" if len(head) <= 80 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    text = " ".join(text.split())
    return repr(text[:60]) if text.isprintable() and text else f"0x{head[:16].hex()}"
