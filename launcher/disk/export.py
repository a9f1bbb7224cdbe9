"""Write a pet's disk into a file that stands alone, at a path of the user's.

It is made under another name beside the target, checked, made to last, and only then named; so
whoever finds the target finds all of it.

A VM that runs goes on meanwhile: it is one of the disk's snapshots that is read, whose clusters
QEMU never writes to. QEMU's own backup job would make the guest's writes wait for the target, and
fail with it.
"""

import json
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from launcher.disk import qemu_img
from launcher.disk import target as targets
from launcher.disk.place import Place
from launcher.disk.snapshot import listing
from launcher.disk.whole import Whole
from launcher.host import access, process, storage
from launcher.host.account import Account
from launcher.host.durable import sync, sync_names
from launcher.host.errors import CommandFailed, ImageRefused, StorageError
from launcher.host.process import Child
from launcher.image import progress, temporary
from launcher.image.format import patience
from launcher.image.format.qcow2 import header
from launcher.image.format.qemu_img import check as check_image
from launcher.image.progress import size as shown_size
from launcher.image.space import available

# Seconds between two looks at how far it is.
LOOK_EVERY = 0.5
ALLOCATION_UNIT = 512  # of st_blocks


class Export(NamedTuple):
    """`snapshot`: what is read; empty for the disk as it is, which is then not in use. `size`:
    bytes of the disk as the guest saw it then; `disk_size`: as it sees it now. `in_use`: whether
    QEMU has the disk open. `direct`: read it past the page cache, as QEMU writes it. `compress`:
    pack each cluster by zlib."""

    place: Place
    target: Path
    snapshot: str
    size: int
    disk_size: int
    in_use: bool
    direct: bool
    compress: bool


def convert_argv(export: Export, part: Path) -> list[str]:
    """qemu-img's command line for the export to `part`."""
    return [
        "qemu-img", "convert", "-q",
        *_source(export),
        *(["-T", "none"] if export.direct else []),
        "-O", "qcow2",
        *(["-c"] if export.compress else []),
        str(export.place.disk),
        str(part),
    ]  # fmt: skip


def measure_argv(export: Export) -> list[str]:
    """qemu-img's command line to tell the bytes that the export will take."""
    return [
        "qemu-img", "measure", "--output=json",
        *_source(export),
        "-O", "qcow2",
        str(export.place.disk),
    ]  # fmt: skip


def plan(
    whole: Whole, place: Place, target: Path, *, snapshot: str, in_use: bool, compress: bool
) -> Export:
    """How to export; looks at how the disk and its base can be opened.

    :raise InputMissing: when there is no such snapshot.
    :raise ImageRefused: when the disk is smaller by now than it was then.
    """
    now = whole.disk.virtual_size
    # A file of version 2 does not say how large the disk was.
    size = (listing.find(place, snapshot).disk_size or now) if snapshot else now
    if size > now:
        # qemu-img reads a snapshot no further than the disk goes now, and says nothing.
        raise ImageRefused(
            f"the snapshot {snapshot} is of a disk of {size} bytes, and {place.disk} has "
            f"{now} by now: its end would be missing",
            hint=f"let the disk grow first: start the VM once with VM_DISK_SIZE={size}",
        )
    direct = all(storage.supports_direct(each) for each in (place.disk, whole.base.path))
    return Export(place, target, snapshot, size, now, in_use, direct, compress)


def run(export: Export, whole: Whole, account: Account | None) -> int:
    """Carry it out. Returns the bytes of the new file.

    :raise Busy: when another process writes to the disk.
    :raise StorageError: when there is too little space, or reading or writing fails.
    :raise RightMissing: when we may not write to the target's folder, or QEMU's user cannot get at
        it.
    :raise ImageRefused: when what was written is not sound.
    """
    target = export.target
    targets.check(target)
    access.grant(export.place.disk, account, access.READ)
    access.grant(whole.base.path, account, access.READ)
    needed = _measured(export, account)
    free = available(target.parent)
    if free is not None and free < needed and not export.compress:
        raise StorageError(
            f"there is too little space in {target.parent}: {shown_size(needed)} are needed, "
            f"{shown_size(free)} are free"
        )
    try:
        with temporary.file(target.parent, target.name) as part:
            access.grant(part, account, access.READ_WRITE)
            _convert(export, part, None if export.compress else needed, account)
            _cut(export, part, account)
            _prove(export, part, account)
            part.chmod(0o644)
            sync(part)
            targets.name(part, target)
            sync_names(target.parent)
            return target.stat().st_size
    except OSError as err:
        raise targets.failure(err.strerror or str(err), target, err.errno or 0) from err


def _source(export: Export) -> list[str]:
    return [
        # Only ever with a snapshot: of a disk that is written to nothing else stays as it is.
        *(["-U"] if export.in_use else []),
        *("-f", "qcow2"),
        *(["-l", f"snapshot.name={export.snapshot}"] if export.snapshot else []),
    ]


def _measured(export: Export, account: Account | None) -> int:
    try:
        said = qemu_img.run(measure_argv(export), patience.tables(export.disk_size), account)
    except CommandFailed as err:
        raise targets.failure(err.stderr, export.target) from err
    return int(json.loads(said.stdout)["required"])


def _convert(export: Export, part: Path, total: int | None, account: Account | None) -> None:
    argv, seconds = convert_argv(export, part), patience.data(export.disk_size)
    limits, until = qemu_img.limits(seconds), time.monotonic() + seconds
    with (
        progress.shown("exported", total) as meter,
        process.spawn(
            "qemu-img", argv, capture_stderr=True, limits=limits, account=account
        ) as child,
    ):

        def look() -> None:
            meter.advance(part.stat().st_blocks * ALLOCATION_UNIT - meter.done)
            if time.monotonic() > until:
                raise targets.failure(qemu_img.late(argv, seconds), export.target)

        status = _wait(child, look)
        read = os.read(child.stderr, 1 << 16) if status and child.stderr else b""
    said = read.decode(errors="replace").strip()
    if status:
        words = qemu_img.ended(limits, said) if status < 0 else said
        raise targets.failure(words, export.target)


def _wait(child: Child, look: Callable[[], None]) -> int:
    while True:
        ended, _, _ = select.select([child.pidfd], [], [], LOOK_EVERY)
        look()
        status = child.status()
        if ended and status is not None:
            return status


def _cut(export: Export, part: Path, account: Account | None) -> None:
    """Make it end where the disk ended then; qemu-img makes each export as large as the disk is."""
    if header.read(part).virtual_size <= export.size:
        return
    argv = ["qemu-img", "resize", "-q", "-f", "qcow2", "--shrink", str(part), str(export.size)]
    try:
        qemu_img.run(argv, patience.tables(export.disk_size), account)
    except CommandFailed as err:
        raise targets.failure(err.stderr, export.target) from err


def _prove(export: Export, part: Path, account: Account | None) -> None:
    try:
        check_image(part, f"the export {export.target}", account)
    except ImageRefused as err:
        raise ImageRefused(
            err.message, hint=f"it was removed; {export.target.parent} or the memory may be faulty"
        ) from err
    made = header.read(part)
    if made.backing_file is not None:
        raise ImageRefused(f"the export {export.target} does not stand alone")
    if made.virtual_size != export.size:
        raise ImageRefused(
            f"the export {export.target} came out as a disk of {made.virtual_size} bytes "
            f"instead of {export.size}"
        )
