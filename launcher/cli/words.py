"""What several commands of `berth` have in common."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from launcher.host.errors import LauncherError

as_json = click.option("--json", "as_json", is_flag=True, help="As JSON, for machines.")


@contextmanager
def explained() -> Iterator[None]:
    """End with a failure's own exit code, and its words instead of a traceback."""
    try:
        yield
    except LauncherError as err:
        click.echo(f"berth: {err}", err=True)
        sys.exit(err.exit_code)
