"""An initramfs: a folder with busybox in it, packed the way the kernel unpacks it."""

import shutil
from pathlib import Path

from tests.guests.commands import run

DEBIAN_PACKAGES = ("cpio", "zstd")


def add_busybox(debian: Path, root: Path) -> Path:
    """Put the busybox of an unpacked busybox-static into an initramfs, with a shell by its name."""
    busybox = root / "bin/busybox"
    busybox.parent.mkdir(exist_ok=True)
    shutil.copy(debian / "usr/bin/busybox", busybox)
    (root / "bin/sh").symlink_to("busybox")
    return busybox


def pack(root: Path) -> Path:
    """Pack a folder; its files belong to root in there, whoever they belong to here."""
    archive = root.with_name("initramfs")
    names = "\n".join(sorted(str(path.relative_to(root)) for path in root.rglob("*")))
    run(
        "cpio",
        "--create",
        "--quiet",
        "--reproducible",
        "--format=newc",
        "--owner=0:0",
        f"--file={archive}",
        cwd=root,
        stdin=names,
    )
    run("zstd", "--quiet", "-19", "--rm", archive)
    return archive.with_suffix(".zst")
