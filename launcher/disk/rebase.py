"""Move a pet to another base with its content as it is, and back.

A copy of the disk is moved and compared with the disk; only then does the record name the new base,
and the two disks take each other's place (`launcher.disk.plan` has the states in between). The old
one is kept until that is confirmed.
"""

import os

from launcher.disk import pet
from launcher.disk import record as records
from launcher.disk.alone import alone, unwritten
from launcher.disk.belonging import check_disk
from launcher.disk.copy import copy
from launcher.disk.place import Place, explained, sync, sync_names
from launcher.disk.plan import Found, is_half_moved
from launcher.disk.record import Former, PetRecord
from launcher.host import access, process
from launcher.host.account import Account
from launcher.host.errors import AlreadyThere, ImageRefused, InputMissing, StorageError
from launcher.image.base import Base
from launcher.image.store.record import Address

# Bytes per second that any volume worth using exceeds.
SLOWEST = 2 << 20


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
        found = _settled(place)
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


def undo(place: Place, former: Base | None) -> PetRecord:
    """Go back to the disk as it was before the last move, and keep the present one in its place:
    done twice, everything is as before.

    :param former: the base that it stands on, if that is still there.
    :raise InputMissing: when there is nothing to go back to.
    :raise Busy: when the pet is in use.
    """
    with alone(place):
        found = _settled(place)
        record = found.record
        if not record or not record.former:
            raise _nothing_kept(place)
        if former is None or former.digest != record.former.base_digest:
            raise InputMissing(
                f"the former base of the pet {place.name} is gone: {record.former.base_path}",
                hint=f"put that file back, with its .json; it came from "
                f"{record.former.source.shown}",
            )
        with unwritten(place), explained(f"going back to {place.former}", place.folder):
            # Where an attempt was cut off it has the other name already.
            if place.former.exists():
                place.former.rename(place.new_disk)
                sync_names(place.folder)
            elif not place.new_disk.exists():
                raise _nothing_kept(place)
            back = record.moved(record.former)
            records.save(place, back)
            pet.finish(place)
    return back


def confirm(place: Place) -> None:
    """Drop the disk as it was before the last move. The VM may run.

    :raise InputMissing: when none is kept.
    """
    with alone(place):
        found = pet.find(place)
        record = found.record
        if is_half_moved(found) or not record:
            raise InputMissing(f"the pet {place.disk} is not whole", hint="start the VM once")
        if not record.former and not place.former.exists():
            raise _nothing_kept(place)
        with explained(f"removing {place.former}", place.folder):
            place.former.unlink(missing_ok=True)
            if record.former:
                # So it is called where going back was cut off.
                place.new_disk.unlink(missing_ok=True)
            sync_names(place.folder)
        records.save(place, record._replace(former=None))


def settle(place: Place) -> None:
    """Finish a move that was cut off after it was decided."""
    with alone(place):
        _settled(place)


def _settled(place: Place) -> Found:
    """What is there, once such a move has been finished."""
    found = pet.find(place)
    if is_half_moved(found) or (found.record and found.new_disk and not found.disk):
        pet.finish(place)
        found = pet.find(place)
    return found


def _copy_moved(place: Place, size: int, old: Base, new: Base, account: Account | None) -> None:
    """Make the disk under way: the disk's content, `size` bytes of it, on the new base."""
    patience = 600 + size / SLOWEST
    with explained(f"copying the pet {place.disk}", place.folder):
        place.rebasing.unlink(missing_ok=True)
        copy(place.disk, place.rebasing)
    for path in (old.path, new.path, place.disk):
        access.grant(path, account, access.READ)
    access.grant(place.rebasing, account, access.READ_WRITE)
    with explained(f"moving a copy of the pet {place.disk} to {new.path}", place.folder):
        process.run(rebase_argv(place, new), timeout=patience, account=account)
        same = process.run(compare_argv(place), timeout=patience, success=(0, 1), account=account)
        if same.status:
            raise StorageError(
                f"the pet {place.disk} would not be the same on {new.path}: {same.stdout.strip()}",
                hint="it was left as it is",
            )
        sync(place.rebasing)
        place.rebasing.rename(place.new_disk)
        sync_names(place.folder)


def _nothing_kept(place: Place) -> InputMissing:
    return InputMissing(
        f"no disk of before a rebase is kept: {place.former} is not there",
        hint="it is kept from a rebase to the next berth rebase --confirm",
    )
