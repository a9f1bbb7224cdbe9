"""The disk as it was before the pet was moved to another base: going back to it, and dropping it.

It is all that is left of the pet should the moved one turn out to be damaged or its base be lost;
so going back asks nothing of those, and dropping it asks that the pet has its disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from launcher.disk import pet
from launcher.disk import record as records
from launcher.disk.alone import alone, unwritten
from launcher.disk.belonging import check_base, check_disk
from launcher.disk.place import Place, explained
from launcher.disk.plan import Found, is_half_moved
from launcher.disk.record import PetRecord
from launcher.host.durable import sync_names
from launcher.host.errors import ImageRefused, InputMissing
from launcher.image.base import Base


def undo(place: Place, former: Base | None) -> PetRecord:
    """Go back to the disk as it was before the last move, and keep the present one in its place:
    done twice, everything is as before. The present one and its base may be damaged, or gone.

    :param former: the base that it stands on, if that is still there.
    :raise InputMissing: when there is nothing to go back to.
    :raise ImageRefused: when what is kept does not belong to the pet, or is damaged itself.
    :raise Busy: when the pet is in use.
    """
    with alone(place):
        is_readable = True
        try:
            settled(place)
        except ImageRefused:
            is_readable = False
        record = records.load(place)
        if not record or not record.former:
            raise _nothing_kept(place)
        if not is_readable and not place.former.exists():
            disk = pet.header(place.new_disk)
            if disk and disk.backing_file == str(record.base_path):
                # An attempt was cut off after it was decided.
                pet.finish(place)
                return record
        back = record.moved(record.former)
        # Where an attempt was cut off it has the other name already.
        kept = place.former if place.former.exists() else place.new_disk
        disk = pet.header(kept)
        if disk is None:
            raise _nothing_kept(place)
        check_disk(kept, disk, back)
        check_base(place, back, former)
        with _unwritten(place), explained(f"going back to {place.former}", place.folder):
            if kept == place.former:
                place.former.rename(place.new_disk)
                sync_names(place.folder)
            records.save(place, back)
            pet.finish(place)
    return back


def confirm(place: Place) -> None:
    """Drop the disk as it was before the last move. The VM may run.

    :raise InputMissing: when none is kept, or it is the only one.
    :raise ImageRefused: when the pet's disk is not the record's, or damaged.
    """
    with alone(place):
        found = settled(place)
        record, disk = found.record, found.disk
        if record is None or disk is None:
            raise InputMissing(
                f"the pet {place.disk} is not there; what was kept from a rebase is left alone",
                hint=f"berth rebase --undo goes back to {place.former}, where that is there",
            )
        check_disk(place.disk, disk, record)
        if not record.former and not place.former.exists():
            raise _nothing_kept(place)
        with explained(f"removing {place.former}", place.folder):
            place.former.unlink(missing_ok=True)
            if _is_former(found):
                # So it is called where going back was cut off.
                place.new_disk.unlink(missing_ok=True)
            sync_names(place.folder)
        records.save(place, record._replace(former=None))


def settle(place: Place) -> None:
    """Finish a move that was cut off after it was decided."""
    with alone(place):
        settled(place)


def settled(place: Place) -> Found:
    """What is there, once such a move has been finished. For who is alone with the pet."""
    found = pet.find(place)
    if is_half_moved(found) or _is_unnamed(found):
        pet.finish(place)
        found = pet.find(place)
    return found


@contextmanager
def _unwritten(place: Place) -> Iterator[None]:
    """Keep the present disk from being written to, where there is one."""
    with unwritten(place) if place.disk.exists() else nullcontext():
        yield


def _is_unnamed(found: Found) -> bool:
    """Whether the pet's disk is complete, and only its name is missing."""
    record, new_disk = found.record, found.new_disk
    if not record or not new_disk or found.disk:
        return False
    return new_disk.backing_file == str(record.base_path)


def _is_former(found: Found) -> bool:
    """Whether the disk under way is the one of before the last move."""
    record, new_disk = found.record, found.new_disk
    if not record or not record.former or not new_disk:
        return False
    return new_disk.backing_file == str(record.former.base_path)


def _nothing_kept(place: Place) -> InputMissing:
    return InputMissing(
        f"no disk of before a rebase is kept: {place.former} is not there",
        hint="it is kept from a rebase to the next berth rebase --confirm",
    )
