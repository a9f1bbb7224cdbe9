"""A disk that a BIOS boots, made from files alone: no root, no loop devices, no mounts.

A master boot record; a FAT partition with SYSLINUX, a kernel and an initramfs; ext4 partitions.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.guests.commands import run

DEBIAN_PACKAGES = (
    "dosfstools",
    "e2fsprogs",
    "mtools",
    "qemu-utils",
    "syslinux",
    "syslinux-common",
)

_MIB = 1 << 20
_SECTOR = 512
_BOOT_CODE = Path("/usr/lib/syslinux/mbr/mbr.bin")
_FAT, _LINUX = 0x0C, 0x83


@dataclass(frozen=True, slots=True)
class Ext4:
    """An ext4 partition: its label, its size in bytes and what is in it (nothing by default)."""

    label: str
    size: int
    tree: Path | None = None
    journal: bool = True


@dataclass(frozen=True, slots=True)
class Boot:
    """What the boot partition starts."""

    kernel: Path
    initramfs: Path
    cmdline: str

    @property
    def config(self) -> str:
        """Text of syslinux.cfg; without a prompt or a menu, SYSLINUX starts at once."""
        return f"DEFAULT linux\nLABEL linux\nKERNEL linux\nAPPEND initrd=initrd {self.cmdline}\n"

    @property
    def size(self) -> int:
        """Bytes of a partition that holds it all, SYSLINUX and the tables of FAT included."""
        content = self.kernel.stat().st_size + self.initramfs.stat().st_size
        return _mebibytes(content) + 2 * _MIB


def write_qcow2(image: Path, boot: Boot, filesystems: Sequence[Ext4]) -> None:
    """Write a disk image: the boot partition first, then the filesystems in their order."""
    disk = image.with_suffix(".raw")
    _write_raw(disk, boot, filesystems)
    # By zstd: zlib, qcow2's default, would take half a second of each emulated boot to unpack.
    options = ["-c", "-o", "compression_type=zstd"]
    run("qemu-img", "convert", "-O", "qcow2", *options, disk, image)
    disk.unlink()


def _write_raw(disk: Path, boot: Boot, filesystems: Sequence[Ext4]) -> None:
    sizes = [boot.size, *(_mebibytes(filesystem.size) for filesystem in filesystems)]
    starts = [_MIB + sum(sizes[:before]) for before in range(len(sizes))]
    with disk.open("wb") as file:
        file.truncate(starts[-1] + sizes[-1])
        file.write(_BOOT_CODE.read_bytes())
        file.seek(446)
        for start, size in zip(starts, sizes, strict=True):
            file.write(_entry(start, size, bootable=start == starts[0]))
        file.seek(510)
        file.write(b"\x55\xaa")
    _write_boot(disk, boot, starts[0], sizes[0])
    for filesystem, start in zip(filesystems, starts[1:], strict=True):
        _write_ext4(disk, filesystem, start)


def _write_boot(disk: Path, boot: Boot, start: int, size: int) -> None:
    partition = f"{disk}@@{start}"
    run(
        "mkfs.vfat",
        "-n", "BOOT",
        # Said, because it would be chosen by the size of the whole disk; clusters of 2 KiB then
        # suit partitions of 9 to 127 MiB.
        "-F", "16",
        "-s", "4",
        "--offset", str(start // _SECTOR),
        disk,
        str(size // 1024),
    )  # fmt: skip
    config = disk.with_name("syslinux.cfg")
    config.write_text(boot.config)
    run("mcopy", "-i", partition, config, "::syslinux.cfg")
    run("mcopy", "-i", partition, boot.kernel, "::linux")
    run("mcopy", "-i", partition, boot.initramfs, "::initrd")
    run("syslinux", "--install", "--offset", str(start), disk)


def _write_ext4(disk: Path, filesystem: Ext4, start: int) -> None:
    run(
        "mke2fs",
        "-q",
        "-t", "ext4",
        "-L", filesystem.label,
        "-m", "0",
        # Left for later, it would be the guest that writes them, while its boot is timed.
        "-E", f"offset={start},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0",
        *([] if filesystem.journal else ["-O", "^has_journal"]),
        *(["-d", str(filesystem.tree)] if filesystem.tree else []),
        disk,
        f"{filesystem.size // 1024}k",
    )  # fmt: skip


def _entry(start: int, size: int, *, bootable: bool) -> bytes:
    # Cylinder, head and sector at their greatest: only the numbers of sectors count.
    nowhere = b"\xfe\xff\xff"
    return struct.pack(
        "<B3sB3sII",
        0x80 if bootable else 0,
        nowhere,
        _FAT if bootable else _LINUX,
        nowhere,
        start // _SECTOR,
        size // _SECTOR,
    )


def _mebibytes(size: int) -> int:
    return -(-size // _MIB) * _MIB
