"""Whether a pet is still the one that QEMU was started for.

Between the look at a pet and QEMU's lock on its disk, a moment later, somebody may have moved it to
another base, or have asked for a restore. QEMU is told what the disk stands on and heeds no header,
so it would read the old base under the new disk.
"""

from launcher.disk import pet, request
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.host.errors import Busy

HINT = "start it again: the next start finds the disk as it is by now"


def refuse(place: Place, made: Pet) -> None:
    """See that the pet is what was made ready, and that nothing else is asked for. To be called
    when QEMU has its lock, after which nobody exchanges the disk. Starts no program.

    :raise Busy: when somebody changed it meanwhile.
    :raise LauncherError: when it cannot be read.
    """
    found = pet.find(place)
    record, disk, planned = found.record, found.disk, made.record
    if (
        record is None
        or disk is None
        or record.base != planned.base
        or disk.backing_file != str(planned.base_path)
        or disk.virtual_size < made.virtual_size
    ):
        raise Busy(f"the pet {place.disk} changed while QEMU was started for it", hint=HINT)
    if asked := request.load(place):
        raise Busy(f"{place.name} was told to {asked} while QEMU was started for it", hint=HINT)
