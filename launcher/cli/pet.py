"""`berth pet`: the VM's own disk as a whole."""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import click

from launcher.cli.words import explained


@click.group()
def pet() -> None:
    """Do something with the VM's disk as a whole."""


@pet.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--snapshot", default="", help="Export this snapshot instead of the present state.")
@click.option("--compress", is_flag=True, help="Pack it: smaller, and several times slower.")
def export(target: Path, snapshot: str, compress: bool) -> None:
    """Write the VM's disk to TARGET, a full path on a volume that is mounted here.

    It becomes a qcow2 image that needs no other file. It gets its name when it is complete and
    checked, and nothing is overwritten. A VM that runs goes on: what is written is its disk as it
    was at the beginning, brought to rest by the guest agent if there is one. Until the end what the
    guest overwrites is kept too, which takes space on the pet's volume. Extra disks are not in it.

    An export that is killed leaves TARGET.<random>.part, which is yours to remove.
    """
    from launcher.cli import environment
    from launcher.disk import export as exports
    from launcher.disk import target as targets
    from launcher.disk import whole
    from launcher.disk.place import Place
    from launcher.disk.snapshot import listing
    from launcher.host import account as accounts
    from launcher.image.progress import size
    from launcher.life import reach

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with explained(), ExitStack() as stack:
        settings = environment.settings()
        targets.check(target)
        place = Place(settings.pet_dir, settings.vm_name)
        line = reach.line(settings.run_dir)
        if line:
            # It is there for us for as long as we are connected, however we end.
            held = stack.enter_context(line).ask("snapshot-hold", name=snapshot)
            snapshot = held["name"]
            if held["unfrozen"]:
                click.echo(f"the guest is not at rest: {held['unfrozen']}", err=True)
            account = accounts.find(settings.qemu_user)
        else:
            place, account = environment.idle_pet(settings)
            if snapshot:
                listing.find(place, snapshot)
        found = whole.look(place, settings.shared_dir)
        planned = exports.plan(
            found, place, target, snapshot=snapshot, in_use=line is not None, compress=compress
        )
        written = exports.run(planned, found, account)
        click.echo(f"{target}: {size(written)}, a disk of {size(planned.size)}")


def _stop(number: int, _: FrameType | None) -> None:
    """Leave by an exception, so that what is half written goes."""
    sys.exit(128 + number)
