"""Running the tools that build a guest, and saying which package is missing when one is not there.

Tests of Berth drive Berth through its own door to processes; building a guest comes before Berth
and must not depend on it, hence this small door of its own.
"""

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

# mke2fs, depmod and mkfs.vfat live in sbin, which ordinary users of Debian do not have in PATH.
_ENVIRONMENT = {
    **os.environ,
    "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]),
    "LC_ALL": "C.UTF-8",
}


class MissingPackagesError(Exception):
    """Debian packages that building a guest needs are not installed."""

    def __init__(self, missing: Iterable[str]) -> None:
        names = " ".join(missing)
        super().__init__(f"missing Debian packages: {names} (hint: apt-get install {names})")


class CommandError(subprocess.CalledProcessError):
    """A command failed; unlike its parent it shows what the command had to say."""

    def __str__(self) -> str:
        command = shlex.join(map(str, self.cmd))
        return f"exit status {self.returncode}: {command}\n{self.output}".rstrip()


def run(
    *argv: str | Path,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> str:
    """Run a command to its end and return its standard output.

    :raise CommandError: when it ends with anything but 0; carries both of its outputs.
    """
    done = subprocess.run(
        argv,
        input=stdin,
        cwd=cwd,
        env={**_ENVIRONMENT, **(env or {})},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CommandError(done.returncode, argv, done.stdout + done.stderr)
    return done.stdout


def require_packages(names: Iterable[str]) -> None:
    """Check that Debian packages are installed on this machine.

    :raise MissingPackagesError: naming every one that is not.
    """
    wanted = list(names)
    query = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
    )
    installed = {
        line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")
    }
    missing = [name for name in wanted if name not in installed]
    if missing:
        raise MissingPackagesError(missing)
