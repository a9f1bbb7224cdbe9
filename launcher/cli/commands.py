"""The commands of `berth`, as in `kubectl exec POD -- berth plan`."""

import json
import os
import sys

import click

from launcher import __version__
from launcher.cli.images import images
from launcher.cli.pet import pet
from launcher.cli.rebase import rebase
from launcher.cli.snapshot import snapshot
from launcher.cli.words import as_json, explained
from launcher.host import log
from launcher.life.probe import QUESTIONS, Question


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="berth")
def commands() -> None:
    """Look at and talk to the VM of this container."""
    log.configure(os.environ.get("LOG_LEVEL", ""), os.environ.get("LOG_FORMAT", ""))


@commands.command()
@as_json
def settings(as_json: bool) -> None:
    """Show every setting with the value in force."""
    from launcher.cli import environment
    from launcher.settings.reference import listing

    with explained():
        values = dict(listing(environment.settings()))
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    for name, value in values.items():
        click.echo(f"{name}={value}")


@commands.command()
@as_json
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plan(as_json: bool, arguments: tuple[str, ...]) -> None:
    """Show all that `startvm` would do here and now, and touch nothing.

    ARGUMENTS are further options for QEMU, as startvm takes them; put -- before them.
    """
    from launcher.cli import environment
    from launcher.life import report
    from launcher.life.plan import make

    with explained():
        made = make(environment.settings(), arguments)
        click.echo(json.dumps(report.data(made), indent=2) if as_json else report.text(made))


@commands.command()
def console() -> None:
    """Attach to the guest's serial console; ^] detaches."""
    from launcher.access.console import attach
    from launcher.cli import environment

    with explained():
        attach(environment.run_dir())


@commands.command()
@as_json
def status(as_json: bool) -> None:
    """Show whether the VM runs. The exit code is 0 only if it does."""
    from launcher.cli import environment
    from launcher.life.state import Phase, read

    with explained():
        state = read(environment.run_dir())
    if state is None:
        click.echo("no VM was started here", err=True)
        sys.exit(os.EX_NOINPUT)
    click.echo(json.dumps(state._asdict()) if as_json else str(state))
    sys.exit(os.EX_OK if state.phase is Phase.RUNNING else 1)


@commands.command()
@click.argument("question", type=click.Choice(QUESTIONS))
@click.option("--agent", is_flag=True, help="ready: the guest agent has to answer, too.")
def probe(question: Question, agent: bool) -> None:
    """Answer Kubernetes: exit with 0 for yes and 1 for no, and say why.

    startup: the guest has been started once. ready: it runs, neither paused nor off. alive:
    startvm and QEMU respond; a VM that is paused or off is alive, and so is one whose image is
    still being fetched.
    """
    from launcher.cli import probe as quick

    sys.exit(quick.run([question, *(["--agent"] if agent else [])]))


for each in (images, snapshot, pet, rebase):
    commands.add_command(each)
