"""The base that the pet stands on: there, and known to be needed before the pet stands on it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from launcher.disk import begun, request
from launcher.disk import record as records
from launcher.disk.begun import Begun, Note
from launcher.disk.place import Place
from launcher.disk.plan import PetPlan
from launcher.disk.record import PetRecord
from launcher.disk.request import Rebase
from launcher.host.errors import InputMissing, LauncherError, StorageError
from launcher.host.timestamp import rfc3339
from launcher.image import space
from launcher.image.base import Base
from launcher.image.store import bases, references
from launcher.image.store.references import Reference
from launcher.settings.table import Settings

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
        :raise StorageError: when a pet that is new cannot be written down; see `announce`.
        :raise LauncherError: whatever `fetch` raises.
        """
        is_new = self.pet.found.record is None
        with begun.noted(self.pet.place) if is_new else nullcontext() as note:
            if note:
                self._take_back(note)
            with self._secured(fetch, note) as base:
                yield base

    @contextmanager
    def _secured(self, fetch: Callable[[], Base], note: Note | None) -> Iterator[Base]:
        shared, pet = self.shared, self.pet
        base = pet.base or fetch()
        written: Reference | None = None
        try:
            while not references.is_there(shared, self._reference(base)):
                written = self._reference(base)
                if note:
                    note.write(Begun(written.digest, written.uuid))
                    is_known = announce(shared, written)
                else:
                    is_known = write_down(shared, written, lasting=True)
                if not is_known or bases.is_there(shared, base.digest):
                    break
                # Somebody who removes bases was faster, and does not see our reference.
                if pet.found.record:
                    raise InputMissing(
                        f"the base {base.path} of the pet {pet.place.name} was removed this moment",
                        hint="it may be back at once, so start it again; or fetch the image again",
                    )
                references.remove(shared, written)
                base = fetch()
            yield base
        except BaseException:
            # One that was there before may be that of a pet which has all three names in common.
            if written and not pet.place.record.exists():
                with suppress(OSError):
                    references.remove(shared, written)
                    if note:
                        note.remove()
            raise
        if note:
            note.remove()

    def renew(self, base: Base) -> None:
        """Write down that the pet was started once more."""
        if self.pet.found.record:
            write_down(self.shared, self._reference(base))
            begun.remove(self.pet.place)

    def _take_back(self, note: Note) -> None:
        """Remove the reference of a pet that was killed before there was anything of it."""
        left = note.read()
        if left:
            place = self.pet.place
            with suppress(OSError):
                references.remove(self.shared, needing(*left, place.name, self.namespace))
                note.clear()

    def _reference(self, base: Base) -> Reference:
        return needing(base.digest, self.pet.uuid, self.pet.place.name, self.namespace)


@contextmanager
def second(settings: Settings, record: PetRecord, base: Base) -> Iterator[None]:
    """Write down that the pet is about to need `base` besides the one it stands on. If that comes
    to nothing, it does not.

    :raise InputMissing: when somebody removed the base meanwhile.
    :raise StorageError: when it cannot be written down; see `announce`.
    """
    shared, namespace = settings.shared_dir, settings.pod_namespace or ""
    reference = needing(base.digest, record.uuid, settings.vm_name, namespace)
    try:
        if not references.is_there(shared, reference):
            announce(shared, reference)
        if not bases.is_there(shared, base.digest):
            raise InputMissing(
                f"the base {base.path} was removed this moment", hint="do it once more"
            )
        yield
    except BaseException:
        let_go(settings)
        raise


def let_go(settings: Settings) -> None:
    """Let bases go that the pet needed while it was moved to another one, and needs no more."""
    shared, place = settings.shared_dir, Place(settings.pet_dir, settings.vm_name)
    try:
        record, asked = records.load(place), request.load(place)
        if record is None:
            return
        kept = {record.base_digest}
        kept |= {record.former.base_digest} if record.former else set()
        kept |= {asked.digest} if isinstance(asked, Rebase) else set()
        pet = needing(record.base_digest, record.uuid, place.name, settings.pod_namespace or "")
        for digest in references.needed_by(shared, pet) - kept:
            references.remove(shared, pet._replace(digest=digest))
    except (OSError, LauncherError) as err:
        logger.warning(
            "a base may be kept on %s that %s does not need: %s", shared, place.name, err
        )


def needing(digest: str, uuid: str, name: str, namespace: str) -> Reference:
    """That a pet, which starts here and now, needs the base `digest`."""
    now = rfc3339()
    return Reference(
        digest=digest,
        uuid=uuid,
        name=name,
        host=os.uname().nodename,
        namespace=namespace,
        first=now,
        last=now,
    )


def announce(shared: Path, reference: Reference) -> bool:
    """Write down that a pet is about to need a base that it does not stand on yet.

    Nothing is lost if it does not come to stand on it; if it did, and nobody knew, then whoever
    makes room on a full volume would remove the base, and with it all that the pet is worth.

    False where we may not write at all: bases that others look after are still of use, and they
    have to know who uses them.

    :raise StorageError: when the volume is full, or fails.
    """
    try:
        references.write(shared, reference, lasting=True)
    except OSError as err:
        if err.errno not in space.FORBIDDEN:
            failure = space.failure(err, shared, total=len(references.text(reference)))
            raise StorageError(
                f"that {reference.name} needs the base sha256-{reference.digest} cannot be written "
                f"down, and nothing is made that `berth images prune` does not know of: "
                f"{failure.message}",
                hint=failure.hint,
            ) from err
        _warn(shared, reference, err)
        return False
    return True


def write_down(shared: Path, reference: Reference, *, lasting: bool = False) -> bool:
    """Write down that a pet needs the base that it stands on.

    False where that is impossible. The pet goes on all the same: it is there, and its owner is
    better off with it than without.
    """
    try:
        references.write(shared, reference, lasting=lasting)
    except OSError as err:
        _warn(shared, reference, err)
        return False
    return True


def _warn(shared: Path, reference: Reference, err: OSError) -> None:
    logger.warning(
        "that %s needs the base sha256-%s cannot be written down on %s, so `berth images prune` "
        "does not know of it: %s",
        reference.name,
        reference.digest,
        shared,
        err.strerror or err,
    )
