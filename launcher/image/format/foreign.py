"""Images of VMware, Hyper-V and VirtualBox: judged here, then turned into a raw disk by qemu-img.

Their drivers in QEMU are seldom used and large, so qemu-img parses them without rights of ours, and
what it may write to never becomes a base: however it was led astray, and whatever it left behind
that still has the file open. From the raw disk, of which nothing is parsed, the base is made by
ourselves like that of any raw image.
"""

import os
from pathlib import Path

from launcher.host.account import Account
from launcher.image.format import qemu_img
from launcher.image.format.content import Kind


def judge_start(kind: Kind, head: bytes, most: int) -> None:
    """Refuse an image of `kind` by its first bytes, as far as they tell: better now than after
    some gigabytes.

    :param head: the first 2 MiB, or all there is.
    :param most: bytes of the largest disk that is accepted.
    :raise ImageRefused:
    """
    from launcher.image.format import vdi, vmdk

    match kind:
        case Kind.VMDK:
            vmdk.judge_start(head, most)
        case Kind.VDI:
            vdi.judge_start(head, most)


def judge(path: Path, kind: Kind, most: int) -> int:
    """Refuse an image of `kind` that may not be given to qemu-img. Returns the disk's bytes.

    :raise ImageRefused:
    """
    from launcher.image.format import vdi, vhdx, vmdk

    judges = {Kind.VMDK: vmdk.judge, Kind.VHDX: vhdx.judge, Kind.VDI: vdi.judge}
    with path.open("rb") as file:
        return judges[kind](file, path.stat().st_size, most)


def unfold(
    image: Path, kind: Kind, raw: Path, *, most: int, source: str, account: Account | None
) -> int:
    """Write the disk in the image at `image` to the empty file `raw`; returns its bytes.

    :param raw: one that `account` may write to, and nobody else can find.
    :param most: bytes of the largest disk that is accepted.
    :raise ImageRefused: when it may not be given to qemu-img, or qemu-img finds it damaged.
    :raise StorageError: when there is no space for it.
    """
    size = judge(image, kind, most)
    qemu_img.check(image, source, account, kind)
    # Of the size that we read in it, and not to be grown: what qemu-img reads has to agree.
    os.truncate(raw, size)
    qemu_img.unfold(image, kind, raw, size, source, account)
    return size
