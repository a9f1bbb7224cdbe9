"""The base that the pet stands on: there, and known to be needed before the pet is made."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.disk.plan import PetPlan
from launcher.host import container
from launcher.host.errors import InputMissing
from launcher.image.base import Base
from launcher.image.store import bases, references
from launcher.image.store.references import Reference

logger = logging.getLogger("startvm")


@contextmanager
def secured(shared: Path, pet: PetPlan, fetch: Callable[[], Base]) -> Iterator[Base]:
    """The base of `pet`, which nobody removes from now on. A pet that is not made after all needs
    none.

    :param shared: the shared volume.
    :param fetch: fetches the base of a pet that is new.
    :raise InputMissing: when somebody removed the base of a pet that is there.
    :raise LauncherError: whatever `fetch` raises.
    """
    base = pet.base or fetch()
    while not references.is_there(shared, base.digest, pet.uuid):
        if not _write(shared, pet, base, lasting=True) or bases.is_there(shared, base.digest):
            break
        # Somebody who removes bases was faster, and does not see our reference.
        if pet.found.record:
            raise InputMissing(
                f"the base {base.path} of the pet {pet.place.name} was removed this moment",
                hint="it may be back at once, so start it again; or fetch the image again",
            )
        references.remove(shared, base.digest, pet.uuid)
        base = fetch()
    try:
        yield base
    except BaseException:
        if not pet.place.record.exists():
            with suppress(OSError):
                references.remove(shared, base.digest, pet.uuid)
        raise


def renew(shared: Path, pet: PetPlan, base: Base) -> None:
    """Write down that the pet was started once more."""
    if pet.found.record:
        _write(shared, pet, base)


def _write(shared: Path, pet: PetPlan, base: Base, *, lasting: bool = False) -> bool:
    """False where that is impossible. The VM starts all the same: it is a precaution that fails,
    not the VM."""
    now = references.now()
    reference = Reference(
        digest=base.digest,
        uuid=pet.uuid,
        name=pet.place.name,
        host=os.uname().nodename,
        namespace=container.namespace(),
        first=now,
        last=now,
    )
    try:
        references.write(shared, reference, lasting=lasting)
    except OSError as err:
        logger.warning(
            "that %s needs the base %s cannot be written down on %s, so `berth images prune` does "
            "not know of it: %s",
            pet.place.name,
            base.path.name,
            shared,
            err.strerror or err,
        )
        return False
    return True
