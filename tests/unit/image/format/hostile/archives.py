"""tar archives that are no archive of one disk, or want to be more than that."""

import gzip
import io
import tarfile
from collections.abc import Iterable

from tests.unit.image.format.foreign_headers import MIB, descriptor, vmdk
from tests.unit.image.format.hostile.trap import TIB, Trap, whole
from tests.unit.image.format.qcow2.headers import header
from tests.unit.image.format.qcow2.images import image


def tar(*members: tuple[str, bytes], type_: bytes = tarfile.REGTYPE) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as writing:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type = type_
            member.linkname = "/etc/shadow" if type_ in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            member.size = len(data)
            writing.addfile(member, io.BytesIO(data))
    return archive.getvalue()


def sparse(data: bytes, pieces: Iterable[tuple[int, int]], size: int) -> bytes:
    """A GNU tar archive whose one file is said to have `size` bytes, `data` in `pieces` of it."""
    block = bytearray(tar(("disk.raw", data)))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    for number, (offset, length) in enumerate(pieces):
        block[386 + 24 * number : 410 + 24 * number] = _octal(offset) + _octal(length)
    block[483:495] = _octal(size)
    return summed(block)


def _octal(value: int) -> bytes:
    """As tar has numbers: octal digits, or where they do not suffice, binary with a mark."""
    return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11)


def summed(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def archives() -> Iterable[Trap]:
    disk = image()
    yield Trap(
        "two disks",
        tar(("a.img", disk), ("b.vmdk", vmdk())),
        "more than one disk: 'a.img' and 'b.vmdk'",
    )
    yield Trap(
        "no disk",
        tar(("a.ovf", b"<xml/>"), ("b.mf", b"SHA1")),
        "without a disk; in it: 'a.ovf', 'b.mf'",
    )
    yield Trap("empty archive", tar(("x", b"")), "without a disk; in it: 'x'")
    yield Trap(
        "disk packed in an archive",
        tar(("disk.gz", gzip.compress(disk))),
        "packed once more, with gzip",
    )
    yield Trap(
        "archive in an archive", tar(("a.tar", tar(("b", disk)))), "packed once more, with tar"
    )
    yield Trap("zip in an archive", tar(("a.zip", b"PK\x03\x04")), "'a.zip'.*a zip archive")
    yield Trap("part of a VMDK", tar(("a.vmdk", descriptor())), "'a.vmdk'.*without its data")
    for name, type_ in {
        "link": tarfile.SYMTYPE,
        "hard link": tarfile.LNKTYPE,
        "device": tarfile.BLKTYPE,
    }.items():
        yield Trap(
            f"{name} in an archive",
            tar(("../../etc/shadow", b""), type_=type_),
            "in it: no file at all",
        )
    yield Trap(
        "name that tells a lie",
        tar(("\x1b[2J" + "n" * 500, b"text")),
        r"in it: '\\x1b\[2Jn{50,60}…' ",
    )
    yield Trap(
        "backing file in an archive",
        tar(("../x", whole(header(backing=b"/etc/shadow")))),
        "file, '/etc/shadow'",
    )
    yield Trap(
        "hole of 1 PiB",
        sparse(disk, [(0, len(disk))], 1024 * TIB),
        "claims .*1024 TiB.*IMG_MAX_SIZE",
    )
    yield Trap(
        "hole that is no disk",
        sparse(b"text", [(0, 4)], TIB),
        "is nothing that is known; it begins 0x74657874",
    )
    yield Trap(
        "pieces of a sparse file that are not there",
        sparse(disk, [(0, 1 << 40)], TIB),
        "archive is damaged",
    )
    yield Trap(
        "pieces of a sparse file in disorder", sparse(disk, [(1 << 18, 512), (0, 1 << 18)], TIB), ""
    )
    yield Trap(
        "cut archive", tar(("disk", disk))[: len(disk) // 2], "archive is damaged: unexpected end"
    )
    yield Trap(
        "too many members", tar(*((f"{n}", b"text") for n in range(201))), "more than 200 members"
    )
    endless = bytearray(tar(("x", b"")))
    endless[124:136], endless[156:157] = _octal(1 << 33), tarfile.XHDTYPE
    yield Trap(
        "tar header of 8 GiB",
        gzip.compress(summed(endless)[:512] + bytes(8 * MIB)),
        "headers of its tar archive take more",
    )
    backwards = bytearray(tar(("x", b""), ("disk", disk)))
    backwards[124:136] = b"\xff" * 12
    yield Trap("member of -1 bytes", summed(backwards), "a member has less than no bytes|damaged")
    nested = bytearray(tar(("x", b"9 a=bcd\n")))
    nested[156:157] = tarfile.XHDTYPE
    yield Trap(
        "headers of headers",
        summed(nested)[:1024] * 1500 + tar(("disk", disk)),
        "archive is damaged",
    )
