"""Debian's files from its packages, by mmdebstrap."""

from pathlib import Path

from tests.guests.commands import run


def mmdebstrap(*arguments: str | Path, env: dict[str, str]) -> None:
    """Run mmdebstrap with these arguments: options, suite, target and so on.

    It mounts things into its folder. Should this be killed, everything that it started and mounted
    goes with it, before the next one clears the folder away.

    :raise CommandError: when it fails.
    """
    run(
        "setpriv", "--pdeathsig=KILL",
        "unshare", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child",
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        *arguments,
        env=env,
    )  # fmt: skip
