"""Move a pet to another base with its content as it is.

A copy of the disk is moved and compared with the disk; only then does the record name the new base,
and the two disks take each other's place (`launcher.disk.plan` has the states in between). The old
one is kept (`launcher.disk.former`).
"""

import os

from launcher.disk import pet, qemu_img
from launcher.disk import record as records
from launcher.disk.alone import alone, unwritten
from launcher.disk.belonging import check_disk
from launcher.disk.copy import copy
from launcher.disk.former import settled
from launcher.disk.place import Place, explained
from launcher.disk.plan import Found
from launcher.disk.record import Former, PetRecord
from launcher.host import access
from launcher.host.account import Account
from launcher.host.durable import sync, sync_names
from launcher.host.errors import AlreadyThere, ImageRefused, InputMissing, StorageError
from launcher.image.base import Base
from launcher.image.format import patience
from launcher.image.store.record import Address


def rebase_argv(place: Place, base: Base) -> list[str]:
    """qemu-img's command line: in its safe mode, in which it reads both bases and writes into the
    disk whatever they have not in common."""
    return [
        "qemu-img", "rebase", "-q",
        "-f", "qcow2",
        "-b", str(base.path),
        "-F", "qcow2",
        str(place.rebasing),
    ]  # fmt: skip


def compare_argv(place: Place) -> list[str]:
    both = [str(place.disk), str(place.rebasing)]
    return ["qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", *both]


def check(found: Found, place: Place) -> tuple[PetRecord, int]:
    """The record of a pet that can be moved, and the bytes of its disk as the guest sees it.

    :raise InputMissing: when there is none.
    :raise AlreadyThere: when the disk of before the last move is still kept.
    :raise ImageRefused: when the disk is not the record's, or has snapshots.
    """
    record, disk = found.record, found.disk
    if record is None or disk is None:
        raise InputMissing(f"there is no pet {place.disk}", hint="start the VM once")
    if record.former or os.path.lexists(place.former):
        raise AlreadyThere(
            f"{place.former}, the disk as it was before the last rebase, is still kept",
            hint="berth rebase --confirm drops it, berth rebase --undo goes back to it",
        )
    check_disk(place.disk, disk, record)
    if disk.snapshots:
        # Only the disk itself is moved. Its snapshots would come to stand on the new base as they
        # are, which is another content, and qemu-img says nothing.
        raise ImageRefused(
            f"the pet {place.name} has {disk.snapshots} snapshots, which need its present base",
            hint="remove them first: berth snapshot list, berth snapshot delete",
        )
    return record, disk.virtual_size


def move(place: Place, old: Base, new: Base, source: Address, account: Account | None) -> bool:
    """Move the pet from the base `old` to `new`, which came from `source`. False: it is there
    already.

    :raise Busy: when the pet is in use.
    :raise StorageError: when the volume is full or fails; the pet is as it was then.
    :raise LauncherError: as `check` does.
    """
    with alone(place):
        found = settled(place)
        if found.record and found.record.base_digest == new.digest:
            return False
        record, size = check(found, place)
        with unwritten(place):
            try:
                _copy_moved(place, size, old, new, account)
            finally:
                place.rebasing.unlink(missing_ok=True)
            records.save(place, record.moved(Former(new.digest, new.path, new.size, source)))
            pet.finish(place)
    return True


def _copy_moved(place: Place, size: int, old: Base, new: Base, account: Account | None) -> None:
    """Make the disk under way: the disk's content, `size` bytes of it, on the new base."""
    seconds = patience.data(size)
    with explained(f"copying the pet {place.disk}", place.folder):
        place.rebasing.unlink(missing_ok=True)
        copy(place.disk, place.rebasing)
    for path in (old.path, new.path, place.disk):
        access.grant(path, account, access.READ)
    access.grant(place.rebasing, account, access.READ_WRITE)
    with explained(f"moving a copy of the pet {place.disk} to {new.path}", place.folder):
        qemu_img.run(rebase_argv(place, new), seconds, account)
        same = qemu_img.run(compare_argv(place), seconds, account, success=(0, 1))
        if same.status:
            raise StorageError(
                f"the pet {place.disk} would not be the same on {new.path}: {same.stdout.strip()}",
                hint="it was left as it is",
            )
        sync(place.rebasing)
        place.rebasing.rename(place.new_disk)
        sync_names(place.folder)
