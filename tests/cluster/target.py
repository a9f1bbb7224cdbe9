"""The cluster that tests use: one of their own, or any other by KUBECONFIG."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import programs
from tests.cluster.kubernetes import cluster, place
from tests.cluster.kubernetes.cluster import Cluster

# Seconds for one command. Those that wait for something are told for how long by their callers.
PATIENCE = 120.0

# With KUBECONFIG: a container image that the cluster can pull, and where the guests are served.
IMAGE, GUESTS = "BERTH_TEST_IMAGE", "BERTH_TEST_GUESTS"


class CommandError(AssertionError):
    """kubectl or helm failed. The text has the command and all that it said."""


@dataclass(frozen=True)
class Target:
    """`own` is None for a cluster that somebody else made, which may be on other machines."""

    environment: Mapping[str, str]
    own: Cluster | None

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = PATIENCE) -> str:
        """Run kubectl as a user would; returns its stdout.

        :raise CommandError: when it fails or takes too long.
        """
        return self._run("kubectl", *arguments, stdin=stdin, timeout=timeout)

    def helm(self, *arguments: str, stdin: str = "", timeout: float = PATIENCE) -> str:
        """The same with Helm 4."""
        return self._run("helm", *arguments, stdin=stdin, timeout=timeout)

    def argv(self, program: str, *arguments: str) -> list[str]:
        """For a test that runs it itself, with `environment`."""
        return [os.fspath(programs.find(program)), *arguments]

    def _run(self, program: str, *arguments: str, stdin: str, timeout: float) -> str:
        shown = " ".join([program, *arguments])
        try:
            done = subprocess.run(
                self.argv(program, *arguments),
                input=stdin,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandError(f"{shown}: not done after {timeout:g} s\n{error.stderr!r}") from None
        if done.returncode:
            said = done.stdout + done.stderr
            raise CommandError(f"{shown}: exit status {done.returncode}\n{said}")
        return done.stdout


@contextmanager
def target() -> Iterator[Target]:
    """The cluster that KUBECONFIG names, or one that is made now and removed at the end.

    One that `./dev cluster up` has made and KUBECONFIG names is used as our own, and left there.
    """
    given = os.environ.get("KUBECONFIG")
    if not given:
        _remove_abandoned()
        name = f"t{os.getpid()}"
        try:
            made = cluster.up(name)
            yield Target(made.environment(), made)
        finally:
            cluster.down(name)
    elif Path(given).parent.parent == place.ROOT:
        found = cluster.up(Path(given).parent.name)
        yield Target(found.environment(), found)
    else:
        if missing := [name for name in (IMAGE, GUESTS) if not os.environ.get(name)]:
            raise LookupError(
                f"KUBECONFIG={given} and no {', no '.join(missing)}: see docs/developing.md"
            )
        # As in our own, what prints commands has programs for them.
        path = programs.search_path("helm", "kubectl")
        yield Target({**os.environ, "PATH": path}, None)


def _remove_abandoned() -> None:
    """Remove clusters of tests that were killed; a name has the process that made it."""
    for name in place.existing():
        if not name.startswith("t") or not name[1:].isdecimal():
            continue
        command = b""
        with suppress(OSError):
            command = Path(f"/proc/{name[1:]}/cmdline").read_bytes()
        if b"pytest" not in command:
            cluster.down(name)
