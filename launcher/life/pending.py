"""What was asked of the disk before the VM was shut down, carried out before it runs again."""

import logging

from launcher.disk import former, holder, rebase, request, whole
from launcher.disk.place import Place
from launcher.disk.request import Rebase, Request, Restore
from launcher.disk.snapshot import offline
from launcher.host.account import Account
from launcher.host.errors import Busy, InputMissing, LauncherError, by_code
from launcher.image.store import bases, verify
from launcher.life import needed
from launcher.settings.table import Settings

logger = logging.getLogger("startvm")


def carry_out(settings: Settings, asked: Request, account: Account | None) -> None:
    """Do what is asked for, to its end, and forget it. While another pod has the disk it stays
    asked for.

    A restore that fails is still to be done: a VM that its owner wanted set back does not run as it
    was. Moving a disk to another base changes nothing that a guest sees, so one that fails is given
    up, and the VM runs on as before.

    :raise Busy: when the pet is in use.
    :raise LauncherError: when a restore fails.
    """
    place = Place(settings.pet_dir, settings.vm_name)
    holder.refuse_second(place)
    former.settle(place)
    match asked:
        case Restore():
            _restore(settings, place, asked, account)
            logger.info("restored the snapshot %s%s", asked.snapshot, _kept(asked))
        case Rebase():
            try:
                move(settings, place, asked, account)
            except Busy:
                raise
            except LauncherError as err:
                logger.error("the disk stays on its base: %s", err)
    request.forget(place)
    if isinstance(asked, Rebase):
        needed.let_go(settings)


def finish(settings: Settings, account: Account | None) -> None:
    """Do what may still be asked for, where somebody changes a disk whose VM is off."""
    asked = request.load(Place(settings.pet_dir, settings.vm_name))
    if asked:
        carry_out(settings, asked, account)


def move(settings: Settings, place: Place, asked: Rebase, account: Account | None) -> None:
    """Move the disk to the base asked for, unless it is there already.

    :raise LauncherError: when that cannot be done; the disk is as it was.
    """
    new = bases.load(settings.shared_dir, asked.digest)
    if new is None:
        raise InputMissing(f"the base sha256-{asked.digest} is gone from {settings.shared_dir}")
    old = whole.look(place, settings.shared_dir).base
    # What the two have not in common becomes part of the disk.
    for each in dict.fromkeys((old, new)):
        verify.as_asked(settings, each)
    if rebase.move(place, old, new, asked.source, account):
        logger.info("moved the disk from %s to %s", old.path.name, new.path.name)


def _restore(settings: Settings, place: Place, asked: Restore, account: Account | None) -> None:
    try:
        # QEMU's tools follow what the disk says it stands on.
        whole.look(place, settings.shared_dir)
        offline.restore(place, asked.snapshot, asked.keep, account)
    except LauncherError as err:
        hint = f"; {err.hint}" if err.hint else ""
        raise by_code(err.exit_code)(
            f"the snapshot {asked.snapshot} cannot be restored: {err.message}",
            hint=f"it is tried again at each start, until {place.request} is removed{hint}",
        ) from err


def _kept(asked: Restore) -> str:
    return f"; the state before that is kept as {asked.keep}" if asked.keep else ""
