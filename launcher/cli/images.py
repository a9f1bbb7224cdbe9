"""`berth images`: what is on the shared volume, who needs it, and what may go."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from launcher.cli import environment
from launcher.cli.listing import data, described, text
from launcher.cli.words import as_json, explained
from launcher.host import container
from launcher.host.errors import SettingsError
from launcher.image import space
from launcher.image.progress import size
from launcher.image.store import hiding, inventory, plan, prune, references, verify
from launcher.image.store.following import Clock
from launcher.image.store.inventory import Inventory, Stored
from launcher.image.store.lease import TIMING

# Seconds in which a fetch on another machine shows that it lives. To list it, that is enough.
GLANCE = TIMING._replace(patience=5.0)

verifying = click.option(
    "--verify",
    is_flag=True,
    help="Read each base to its end and compare its sha256; exit code 65 if one differs. Starts "
    "refuse that one from then on, and take it again once --verify finds it as it was.",
)


@click.group(invoke_without_command=True)
@as_json
@verifying
@click.pass_context
def images(context: click.Context, as_json: bool, verify: bool) -> None:
    """Show the bases on the shared volume, and the pets that need them."""
    if context.invoked_subcommand is None:
        show(as_json=as_json, verify=verify)


@images.command("list")
@as_json
@verifying
def list_(as_json: bool, verify: bool) -> None:
    """Show the bases on the shared volume, and the pets that need them."""
    show(as_json=as_json, verify=verify)


@images.command("prune")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--now",
    is_flag=True,
    help="Remove bases, too, that came within the last hour. A pod that is just starting may want "
    "one of them, and has to fetch it again then.",
)
@as_json
def prune_(dry_run: bool, now: bool, as_json: bool) -> None:
    """Remove bases that no pet stands on, and what dead fetches left.

    Pods may start and fetch meanwhile. A base is kept for an hour after it came, and what a fetch
    left for a day, if it may still be continued or whoever is at it may only sleep. A pet that was
    deleted counts until `berth images forget` is told so: its disk is on a volume of its own, which
    nobody can see from here.
    """
    with reported():
        folder = environment.shared_dir()
        if not dry_run:
            hiding.recover(folder)
        found = inventory.look(folder, TIMING, container.boot_id(), Clock())
        steps = plan.plan(found, time.time(), young=0.0 if now else plan.YOUNG)
        done = []
        for each in steps:
            if each.remove and not dry_run:
                each = removed(folder, each)
            done.append(each)
            if not as_json:
                verb = "removed" if each.remove else "kept"
                if dry_run:
                    verb = "would remove" if each.remove else "would keep"
                click.echo(f"{verb} {named(each)} ({size(each.size)}): {each.why}")
        if as_json:
            click.echo(json.dumps([each._asdict() for each in done], indent=2))
        else:
            click.echo(f"{'would free' if dry_run else 'freed'}: {plan.total(tuple(done))}")


@images.command()
@click.argument("pet")
def forget(pet: str) -> None:
    """Count PET, a name, a namespace/name or a UUID, as deleted: it needs its base no more.

    For pets whose volume is gone. One that is there, even one that runs now, says that it needs its
    base again when it starts next; until then prune may remove that.
    """
    with reported():
        folder = environment.shared_dir()
        found = inventory.look(folder, GLANCE, container.boot_id(), Clock())
        known = [each for base in found.bases for each in base.pets]
        chosen = [
            each for each in known if pet in (each.uuid, each.name, f"{each.namespace}/{each.name}")
        ]
        if len(pets := {each.pet for each in chosen}) != 1:
            shown = "\n  - ".join(described(each) for each in chosen or known)
            count = f"{len(pets)} pets are" if pets else "no pet is"
            accepted = "the UUID or the namespace/name of one of these"
            raise SettingsError(
                [f"{count} called {pet!r}; accepted: {accepted}\n  - {shown}"]
                if shown
                else [f"no pet is called {pet!r}: none stands on a base in {folder}"]
            )
        for each in chosen:
            references.remove(folder, each)
            click.echo(f"forgotten: {described(each)}")


@contextmanager
def reported() -> Iterator[None]:
    """End with the exit code and the words of a failure, also where the volume refuses."""
    with explained():
        try:
            yield
        except OSError as err:
            raise space.failure(err, environment.shared_dir()) from err


def removed(folder: Path, step: plan.Step) -> plan.Step:
    """Carry out `step`; what became of it.

    :raise OSError: where nothing can be removed.
    """
    boot = container.boot_id()
    why = "somebody needs it since this moment"
    try:
        if prune.carry_out(folder, step, timing=TIMING, boot=boot, clock=Clock()):
            return step
    except OSError as err:
        if not os.access(folder, os.W_OK):
            raise
        # Another user's, say. That is no reason to keep the others.
        why = f"it cannot be removed: {err.strerror or err}"
    return step._replace(remove=False, why=why)


def named(step: plan.Step) -> str:
    match step.what:
        case "base":
            return f"the base sha256-{step.name}"
        case "fetch":
            return f"the fetch {step.name}"
        case _:
            return step.name


def show(*, as_json: bool, verify: bool) -> None:
    with reported():
        found = inventory.look(environment.shared_dir(), GLANCE, container.boot_id(), Clock())
        if verify:
            found = found._replace(bases=tuple(verified(found, each) for each in found.bases))
        click.echo(json.dumps(data(found), indent=2) if as_json else text(found))
    if verify and any(each.problem for each in found.bases):
        sys.exit(os.EX_DATAERR)


def verified(found: Inventory, base: Stored) -> Stored:
    return base._replace(problem=verify.problem(found.folder, base.digest))
