"""Changes to the snapshots of a pet whose VM is off, by qemu-img.

Each is one run of qemu-img, which takes QEMU's lock. Where it is killed, some clusters may be
counted too often, which takes space and harms nobody: qcow2 raises a count before anything relies
on it, and lowers it after. The next restore puts that right.
"""

from launcher.disk import holder, qemu_img, request
from launcher.disk.alone import alone
from launcher.disk.place import Place, explained
from launcher.disk.request import Restore
from launcher.disk.snapshot import listing, name
from launcher.disk.snapshot.listing import Taken
from launcher.disk.snapshot.notes import How
from launcher.host import access
from launcher.host.account import Account
from launcher.host.durable import sync
from launcher.host.errors import Busy, StorageError
from launcher.image.format import patience
from launcher.image.format.qcow2 import header
from launcher.image.format.qemu_img import LEAKS
from launcher.machine.options import text

FLAGS = {"create": "-c", "restore": "-a", "delete": "-d"}


def argv(place: Place, verb: str, snapshot: str) -> list[str]:
    """qemu-img's command line; `verb` is one of FLAGS. The format is given, never probed, for which
    this subcommand has these options only."""
    image = f"driver=qcow2,file.driver=file,file.filename={text(place.disk)}"
    return ["qemu-img", "snapshot", "-q", FLAGS[verb], snapshot, "--image-opts", image]


def create(place: Place, snapshot: str, description: str, account: Account | None) -> Taken:
    """Take a snapshot.

    :raise AlreadyThere: when there is one of that name.
    :raise Busy: when the pet's disk is in use.
    :raise StorageError: when the volume is full or fails.
    """
    with alone(place):
        listing.refuse_twice(place, snapshot)
        _run(place, "create", snapshot, account)
        return listing.remark(place, snapshot, How.OFFLINE, description)


def delete(place: Place, snapshot: str, account: Account | None) -> None:
    """Remove a snapshot, and with it what no other one and not the disk has.

    :raise InputMissing: when there is none of that name; otherwise as for `create`.
    """
    with alone(place):
        _refuse_asked(place)
        listing.find(place, snapshot)
        _run(place, "delete", snapshot, account)
        listing.forget(place)


def ask(place: Place, wanted: Restore) -> None:
    """Write down a restore that is carried out next, by whoever gets to it. From here on its
    snapshot is not removed, and no VM runs before it is done.

    :raise InputMissing: when there is no such snapshot.
    :raise Busy: when something else is asked for, or the VM was started meanwhile; then nothing is
        asked for.
    """
    with alone(place):
        _refuse_asked(place)
        listing.find(place, wanted.snapshot)
        request.save(place, wanted)
        # A start that has the disk by now may have looked for requests before there was this one.
        try:
            holder.refuse_second(place)
        except Busy:
            request.forget(place)
            raise


def restore(place: Place, snapshot: str, keep: str, account: Account | None) -> None:
    """Set the disk back to a snapshot, which stays. To be done again until it came to its end:
    doing it twice is doing it once, as long as the VM does not run in between.

    :param keep: the name under which the present state is kept; empty for not at all.
    :raise InputMissing: when there is no such snapshot; otherwise as for `create`.
    """
    with alone(place):
        there = {each.name for each in listing.read(place)}
        listing.find(place, snapshot)
        if keep and keep not in there:
            _run(place, "create", keep, account)
            listing.remark(place, keep, How.OFFLINE, f"before {snapshot} was restored")
        _run(place, "restore", snapshot, account)
        _repair(place, account)
        for each in there:
            if name.is_of_export(each):
                _run(place, "delete", each, account)
        listing.forget(place)


def _refuse_asked(place: Place) -> None:
    if asked := request.load(place):
        raise Busy(f"the pet {place.name} is told to {asked} first", hint="wait until that is done")


def _run(place: Place, verb: str, snapshot: str, account: Account | None) -> None:
    access.grant(place.disk, account, access.READ_WRITE)
    doing = f"{verb} of the snapshot {snapshot} of the pet {place.disk}"
    with explained(doing, place.folder):
        qemu_img.run(argv(place, verb, snapshot), _patience(place), account)
        sync(place.disk)


def _patience(place: Place) -> float:
    """Seconds for what is done to the tables of the disk and of all its snapshots."""
    now = header.read(place.disk).virtual_size
    return patience.tables(now + sum(each.disk_size or now for each in listing.read(place)))


def _repair(place: Place, account: Account | None) -> None:
    """Free what an earlier attempt that was cut off has left counted.

    :raise StorageError: when more than that is wrong with the disk.
    """
    check = ["qemu-img", "check", "-q", "-f", "qcow2", "-r", "leaks", str(place.disk)]
    with explained(f"checking the pet {place.disk}", place.folder):
        done = qemu_img.run(check, _patience(place), account, success=(0, 2, LEAKS))
        sync(place.disk)
    if done.status == 2:
        raise StorageError(
            f"the pet's disk {place.disk} is damaged: {done.stderr.strip() or done.stdout.strip()}",
            hint="`qemu-img check` tells more",
        )
