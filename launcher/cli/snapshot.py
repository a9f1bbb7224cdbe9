"""`berth snapshot`: the pet's disk as it was, kept inside of its own file."""

import json
import time
from typing import Any

import click

from launcher.cli.words import as_json, explained
from launcher.disk.snapshot.name import before_restore, is_of_export, problems


def accepted(_: click.Context, __: click.Parameter, value: str) -> str:
    if found := problems(value):
        raise click.BadParameter(f"{value!r}: {'; '.join(found)}")
    return value


def restorable(_: click.Context, __: click.Parameter, value: str) -> str:
    if is_of_export(value):
        raise click.BadParameter(f"{value!r} is an export's, and goes with the end of that")
    return value


@click.group()
def snapshot() -> None:
    """Take snapshots of the VM's disk, and go back to them.

    They are inside of the pet's own file, take space only for what differs, and work whether the VM
    runs or is off. Extra disks and the VM's memory are not in them. A VM that runs is brought to
    rest by its guest agent for the moment; without one the snapshot is as a disk after a power cut.
    They are no backup: for that there is `berth pet export`.
    """


@snapshot.command()
@click.argument("name", callback=accepted)
@click.option("--description", default="", help="Words for whoever lists them.")
def create(name: str, description: str) -> None:
    """Take the snapshot NAME.

    It may have letters, digits, . _ and -, up to 63 of them; it begins with a letter or a digit and
    is no number.
    """
    from launcher.cli import environment
    from launcher.disk.snapshot import offline
    from launcher.life import reach

    with explained():
        settings = environment.settings()
        if line := reach.line(settings.run_dir):
            with line:
                made = line.ask("snapshot-create", name=name, description=description)
        else:
            place, account = environment.idle_pet(settings)
            taken = offline.create(place, name, description, account)
            made = {**taken.data(), "unfrozen": ""}
    why = f" ({made['unfrozen']})" if made["unfrozen"] else ""
    click.echo(f"took the snapshot {name}, {made['how']}{why}")


@snapshot.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List the snapshots, oldest first.

    agent-frozen: the guest's file systems were at rest. crash-consistent: as after a power cut.
    offline: the VM was off. unknown: not taken by berth.
    """
    from launcher.cli import environment
    from launcher.disk.place import Place
    from launcher.disk.snapshot import listing

    with explained():
        settings = environment.settings()
        found = listing.look(Place(settings.pet_dir, settings.vm_name))
    rows = [each.data() for each in found]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        click.echo(table(rows))
    else:
        click.echo("no snapshots", err=True)


@snapshot.command()
@click.argument("name")
def delete(name: str) -> None:
    """Remove the snapshot NAME, and with it what is nowhere else."""
    from launcher.cli import environment
    from launcher.disk.snapshot import offline
    from launcher.life import reach

    with explained():
        settings = environment.settings()
        if line := reach.line(settings.run_dir):
            with line:
                line.ask("snapshot-delete", name=name)
        else:
            place, account = environment.idle_pet(settings)
            offline.delete(place, name, account)
    click.echo(f"removed the snapshot {name}")


@snapshot.command()
@click.argument("name", callback=restorable)
@click.option("--restart", is_flag=True, help="Shut down a VM that runs, and restore then.")
@click.option("--discard", is_flag=True, help="Keep nothing of the present state.")
def restore(name: str, restart: bool, discard: bool) -> None:
    """Set the disk back to the snapshot NAME, which stays.

    The present state is kept as a snapshot before-restore-TIME, unless it is discarded. With
    --restart the guest is shut down as for any stop, the container ends, and its next start
    restores before the VM runs. A disk that has grown since grows again where VM_DISK_SIZE says so.
    """
    from launcher.cli import environment
    from launcher.disk.request import Restore
    from launcher.disk.snapshot import offline
    from launcher.host.errors import Busy
    from launcher.life import pending, reach

    with explained():
        settings = environment.settings()
        if line := reach.line(settings.run_dir):
            with line:
                if not restart:
                    raise Busy(
                        "the VM runs, and its disk cannot be set back under it",
                        hint=f"berth snapshot restore {name} --restart shuts it down for that",
                    )
                kept = line.ask("restore", name=name, discard=discard)["kept"]
            click.echo(f"the VM is shutting down; its next start restores {name}")
        else:
            place, account = environment.idle_pet(settings)
            kept = "" if discard else before_restore(time.time())
            # Whatever is killed from here on, the next start comes to its end.
            asked = Restore(name, kept)
            offline.ask(place, asked)
            pending.carry_out(settings, asked, account)
            click.echo(f"restored {name}")
    if kept:
        click.echo(f"the state before that is kept as {kept}")


def table(rows: list[dict[str, Any]]) -> str:
    from launcher.image.progress import size

    lines = [("NAME", "TAKEN", "DISK", "HOW", "DESCRIPTION")]
    for row in rows:
        disk = size(row["disk_size"]) if row["disk_size"] else "-"
        lines.append((row["name"], row["taken"], disk, row["how"], row["description"]))
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(
        "  ".join([*(line[n].ljust(widths[n]) for n in range(4)), line[4]]).rstrip()
        for line in lines
    )
