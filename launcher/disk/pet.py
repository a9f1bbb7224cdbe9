"""Look at the pet, and carry out what was planned for it.

The order of steps is what makes a crash harmless: the disk is made under another name and made to
last, then its record is written and made to last, then the disk gets its name. Until the record is
there nothing exists; from then on the disk is complete, and only its name may be missing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from launcher.disk import holder, overlay, qemu_img
from launcher.disk import record as records
from launcher.disk.alone import alone
from launcher.disk.place import Place, explained
from launcher.disk.plan import Found, PetPlan
from launcher.disk.record import PetRecord
from launcher.host import access, storage
from launcher.host.account import Account
from launcher.host.durable import sync, sync_names
from launcher.host.errors import Busy, ImageRefused, InputMissing, StorageError
from launcher.host.timestamp import rfc3339
from launcher.image import space
from launcher.image.base import Base
from launcher.image.format.qcow2.header import Header, NotQcow2
from launcher.image.format.qcow2.header import read as read_header

# Bytes, of a hole that is larger than any file system's block.
HOLE = 1 << 20


class Pet(NamedTuple):
    """A pet that is ready: its record, its disk's path and size in bytes as the guest sees it."""

    record: PetRecord
    path: Path
    virtual_size: int


def find(place: Place) -> Found:
    """See what is on the pet's volume. Starts no program: this is on the way of every start.

    :raise InputMissing: when the volume is not there.
    :raise StorageError: when it cannot be read, or the record cannot be understood.
    :raise ImageRefused: when the disk is no qcow2 image.
    """
    record = records.load(place)
    disk = header(place.disk)
    if record and disk and not record.former:
        return Found(record, disk)
    if not record and not disk and not place.folder.is_dir():
        raise InputMissing(
            f"PET_DIR={str(place.folder)!r} is not there",
            hint="mount the pet's volume there; the VM's disk is kept on it",
        )
    leftover = os.path.lexists(place.new_disk)
    new_disk = header(place.new_disk) if record and leftover else None
    return Found(record, disk, new_disk, leftover)


def apply(plan: PetPlan, account: Account | None = None) -> Pet:
    """Carry out `plan`, or nothing of it; the disk is one that `account` may use.

    :param account: the user that QEMU and qemu-img run as.
    :raise Busy: when another process has the pet, with its name, or changed it since the plan was
        made.
    :raise StorageError: when the volume is full or fails.
    :raise RightMissing: when it may not be written to.
    """
    record = plan.found.record
    holder.refuse_second(plan.place)
    if record and plan.action == "use" and plan.grow_from is None:
        return _ready(plan, record, account)
    if plan.base is None:
        raise ValueError("a plan made without its base can only be shown")
    with _alone(plan):
        if record is None:
            record = _create(plan, plan.base, account)
        elif plan.action == "finish":
            finish(plan.place)
        if plan.grow_from is not None:
            _grow(plan, account)
    return _ready(plan, record, account)


def _ready(plan: PetPlan, record: PetRecord, account: Account | None) -> Pet:
    if plan.size is None:
        raise ValueError("the size of a pet is known once its base is")
    # A pet that was made when QEMU was still root is given to its user here.
    access.grant(plan.place.disk, account, access.READ_WRITE)
    return Pet(record, plan.place.disk, plan.size)


def _create(plan: PetPlan, base: Base, account: Account | None) -> PetRecord:
    place = plan.place
    record = PetRecord(
        name=place.name,
        uuid=plan.uuid,
        mac=plan.mac,
        base_digest=base.digest,
        base_path=base.path,
        base_size=base.size,
        source=plan.source,
        created=rfc3339(),
    )
    with explained(f"making the pet {place.disk}", place.folder):
        # What a crash left may be a link, or still be written to.
        place.new_disk.unlink(missing_ok=True)
        # By us: the folder need not be writable for the user that qemu-img runs as.
        place.new_disk.touch(0o644, exist_ok=False)
        access.grant(place.new_disk, account, access.READ_WRITE)
        access.grant(base.path, account, access.READ)
        size = plan.size or base.virtual_size
        os.truncate(place.new_disk, HOLE)
        preallocate = _preallocates(place.new_disk, size)
        argv = overlay.create_argv(place, base, size, preallocate=preallocate)
        qemu_img.run(argv, overlay.patience(size, preallocate=preallocate), account)
        sync(place.new_disk)
    records.begin(place, record)
    finish(place)
    return record


def finish(place: Place) -> None:
    """Give the disk under way its name. One that has the name and was moved to another base is kept
    as it was.

    :raise Busy: when one has the name that was not moved: it is somebody else's doing.
    """
    record = records.load(place)
    with explained(f"naming the pet's disk {place.disk}", place.folder):
        if os.path.lexists(place.disk):
            if not record or not record.former:
                raise _changed(place)
            place.disk.rename(place.former)
            sync_names(place.folder)
        place.new_disk.rename(place.disk)
        sync_names(place.folder)


def _grow(plan: PetPlan, account: Account | None) -> None:
    place = plan.place
    access.grant(place.disk, account, access.READ_WRITE)
    try:
        with explained(f"growing the pet {place.disk} to {plan.size} bytes", place.folder):
            size = plan.size or 0
            # One without holes may be on a file system that knows none.
            preallocate = _preallocates(place.disk, size)
            argv = overlay.grow_argv(place, size, preallocate=preallocate)
            qemu_img.run(argv, overlay.patience(size, preallocate=preallocate), account)
            sync(place.disk)
    except Busy as err:
        raise holder.busy(place) from err


def _preallocates(disk: Path, size: int) -> bool:
    free = space.available(disk.parent)
    return overlay.preallocates(size, has_holes=storage.has_holes(disk), free=free)


@contextmanager
def _alone(plan: PetPlan) -> Iterator[None]:
    place = plan.place
    with alone(place):
        if find(place) != plan.found:
            raise _changed(place)
        yield


def _changed(place: Place) -> Busy:
    return Busy(
        f"the pet {place.disk} changed while it was looked at",
        hint="a pet runs once; another pod seems to be starting it",
    )


def header(path: Path) -> Header | None:
    """That of the disk at `path`, None if it is not there; errors as for `find`."""
    try:
        return read_header(path)
    except FileNotFoundError:
        return None
    except NotQcow2 as err:
        raise ImageRefused(
            f"the pet's disk {path} may not be used: {err}",
            hint="put it back from a copy, or move it and its record away to start with a new one",
        ) from err
    except OSError as err:
        raise StorageError(f"the pet's disk {path} cannot be read: {err.strerror}") from err
