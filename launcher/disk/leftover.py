"""What a move to another base that was killed has left: up to a second disk, which nobody needs."""

import logging
import os

from launcher.disk import holder, pet
from launcher.disk.alone import alone
from launcher.disk.place import Place, explained
from launcher.host.durable import sync_names
from launcher.host.errors import LauncherError

logger = logging.getLogger("startvm")


def remove(place: Place) -> None:
    """Remove it, if there is any. That it cannot be removed is no reason not to go on.

    :raise Busy: when the pet is in use, as it is by a move that is under way.
    """
    if not os.path.lexists(place.rebasing) and not os.path.lexists(place.new_disk):
        return
    holder.refuse_second(place)
    try:
        with alone(place), explained(f"removing {place.rebasing}", place.folder):
            place.rebasing.unlink(missing_ok=True)
            found = pet.find(place)
            # Otherwise it may be the disk, or the one that is kept.
            if found.record and found.disk and not found.record.former:
                place.new_disk.unlink(missing_ok=True)
            sync_names(place.folder)
    except LauncherError as err:
        logger.warning("what a rebase left takes space: %s", err)
