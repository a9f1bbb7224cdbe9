"""`berth rebase`: the VM's disk on another base."""

import click

from launcher.cli.words import explained


@click.command()
@click.option("--restart", is_flag=True, help="Shut down a VM that runs, and move its disk then.")
@click.option("--confirm", "wish", flag_value="confirm", help="Drop the disk kept from before.")
@click.option("--undo", "wish", flag_value="undo", help="Go back to the disk kept from before.")
def rebase(restart: bool, wish: str | None) -> None:
    """Move the VM's disk to another base, its content as it is.

    It is the base that IMG_SOURCE and IMG_CHECKSUM name now, fetched if need be. The guest finds
    every byte as it was: what the old base had and the new one has not is copied into the disk,
    which grows by that. It is for letting an old base go. It upgrades nothing: a new image under
    the changes of an old one would be a damaged file system, so that is not to be had here; upgrade
    inside the guest, or start with a new disk.

    A copy is moved and compared with the disk before it takes its place. The old disk stays beside
    it until --confirm. --undo puts it back and keeps the other one in its place; what the guest
    wrote in between is in that one.
    """
    from launcher.cli import environment
    from launcher.disk import former, whole
    from launcher.disk import record as records
    from launcher.disk.place import Place
    from launcher.disk.request import Rebase
    from launcher.host import account as accounts
    from launcher.host.errors import Busy
    from launcher.image import fetch
    from launcher.image.store import bases
    from launcher.image.store.record import Address
    from launcher.image.wanted import wanted
    from launcher.life import needed, pending, reach

    with explained():
        settings = environment.settings()
        place = Place(settings.pet_dir, settings.vm_name)
        if wish == "confirm":
            reach.runs(settings.run_dir)
            former.confirm(place)
            needed.let_go(settings)
            click.echo(f"removed {place.former}")
            return
        runs = reach.runs(settings.run_dir)
        if runs and (wish == "undo" or not restart):
            how = "berth rebase --restart shuts it down for that"
            if wish:
                how = "set ON_POWEROFF=stay, shut the guest down, and run this again where it was"
            raise Busy("the VM runs, and its disk cannot be exchanged under it", hint=how)
        if wish == "undo":
            # No more than what is gone back to has to be sound.
            environment.caught_up(settings)
            record = records.load(place)
            kept = record.former if record else None
            base = bases.load(settings.shared_dir, kept.base_digest) if kept else None
            back = former.undo(place, base)
            click.echo(f"{place.disk} stands on {back.base_path} again")
            return
        if runs:
            account = accounts.find(settings.qemu_user)
        else:
            place, account = environment.idle_pet(settings)
        found = whole.look(place, settings.shared_dir)
        new = fetch.ensure(settings, account)
        if new.digest == found.record.base_digest:
            click.echo(f"{place.disk} stands on {new.path} already")
            return
        source = wanted(settings).source
        asked = Rebase(new.digest, Address.of(source) if source else Address(new.source))
        with needed.second(settings, found.record, new):
            if runs:
                # Only now: startvm does not wait for what we want while the image is fetched.
                line = reach.line(settings.run_dir)
                if line is None:
                    raise Busy("the VM ended meanwhile", hint="do it once more")
                with line:
                    line.ask("rebase", digest=new.digest, shown=asked.source.shown,
                             sha256=asked.source.sha256)  # fmt: skip
                click.echo("the VM is shutting down; its next start moves the disk")
            else:
                pending.move(settings, place, asked, account)
                click.echo(f"{place.disk} stands on {new.path} now")
        click.echo(f"the disk as it was is kept as {place.former} until berth rebase --confirm")
