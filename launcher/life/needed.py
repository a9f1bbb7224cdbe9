"""The base that the pet stands on: there, and known to be needed before the pet is made."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from launcher.disk.plan import PetPlan
from launcher.host.errors import InputMissing
from launcher.image.base import Base
from launcher.image.store import bases, references
from launcher.image.store.references import Reference

logger = logging.getLogger("startvm")


class Need(NamedTuple):
    """`pet`, in the Kubernetes namespace `namespace` (empty if not known), needs a base on the
    shared volume `shared`."""

    shared: Path
    pet: PetPlan
    namespace: str = ""

    @contextmanager
    def secured(self, fetch: Callable[[], Base]) -> Iterator[Base]:
        """The base, which nobody removes from now on. A pet that is not made after all needs none.

        :param fetch: fetches the base of a pet that is new.
        :raise InputMissing: when somebody removed the base of a pet that is there.
        :raise LauncherError: whatever `fetch` raises.
        """
        shared, pet = self.shared, self.pet
        base = pet.base or fetch()
        while not references.is_there(shared, base.digest, pet.uuid):
            if not self._write(base, lasting=True) or bases.is_there(shared, base.digest):
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

    def renew(self, base: Base) -> None:
        """Write down that the pet was started once more."""
        if self.pet.found.record:
            self._write(base)

    def _write(self, base: Base, *, lasting: bool = False) -> bool:
        """False where that is impossible. The VM starts all the same: it is a precaution that
        fails, not the VM."""
        now = references.now()
        reference = Reference(
            digest=base.digest,
            uuid=self.pet.uuid,
            name=self.pet.place.name,
            host=os.uname().nodename,
            namespace=self.namespace,
            first=now,
            last=now,
        )
        try:
            references.write(self.shared, reference, lasting=lasting)
        except OSError as err:
            logger.warning(
                "that %s needs the base %s cannot be written down on %s, so `berth images prune` "
                "does not know of it: %s",
                self.pet.place.name,
                base.path.name,
                self.shared,
                err.strerror or err,
            )
            return False
        return True
