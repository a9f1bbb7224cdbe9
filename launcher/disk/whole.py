"""A pet that is there as a whole: its record, its disk, its base, which belong together."""

from pathlib import Path
from typing import NamedTuple

from launcher.disk import pet
from launcher.disk.belonging import check_base, check_disk
from launcher.disk.place import Place
from launcher.disk.record import PetRecord
from launcher.host.errors import InputMissing
from launcher.image.base import Base
from launcher.image.format.qcow2.header import Header
from launcher.image.store import bases


class Whole(NamedTuple):
    record: PetRecord
    disk: Header
    base: Base


def look(place: Place, shared_dir: Path) -> Whole:
    """Find the pet, and see that QEMU's tools may follow what its disk says.

    :raise InputMissing: when there is none, or its base is gone.
    :raise ImageRefused: when disk, record and base do not belong together.
    """
    found = pet.find(place)
    if found.record is None or found.disk is None:
        raise InputMissing(
            f"there is no pet {place.disk}",
            hint="a VM's disk is made when it first starts; PET_DIR and VM_NAME say where it is",
        )
    check_disk(place.disk, found.disk, found.record)
    base = check_base(place, found.record, bases.load(shared_dir, found.record.base_digest))
    return Whole(found.record, found.disk, base)
