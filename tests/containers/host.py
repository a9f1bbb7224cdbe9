"""A machine on which podman runs containers, as far as their network goes: a namespace of its own.

podman's bridge, its firewall rules and the containers' addresses are all in there. A process in
the namespace reaches containers as one on the host would.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.containers import engine, store
from tests.containers.engine import Podman
from tests.pods.namespaces import Namespace, namespaces

# Seconds for one command; a stop waits for a guest.
PATIENCE = 120.0


class Host(NamedTuple):
    """`space` is the host's network."""

    podman: Podman
    space: Namespace

    def run(
        self,
        *argv: str | Path,
        cwd: Path | None = None,
        check: bool = True,
        timeout: float = PATIENCE,
        env: Mapping[str, str] = {},
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program on the host, in whose environment `podman` is ours."""
        # Not `ip netns exec`: its mounts would be seen by nothing that runs later.
        enter = ["nsenter", f"--net=/run/netns/{self.space.name}"]
        done = subprocess.run(
            [*enter, *argv],
            cwd=cwd,
            env={**self.podman.environment, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0 or not check, f"{done.stderr}{done.returncode}: {argv}"
        return done

    def exec(self, container: str, *argv: str, check: bool = True) -> str:
        """What a program beside startvm writes to stdout."""
        return self.run("podman", "exec", container, *argv, check=check).stdout

    def address(self, container: str) -> str:
        return self.inspect(container, ".NetworkSettings.IPAddress")

    def inspect(self, container: str, what: str) -> str:
        form = f"{{{{{what}}}}}"
        return self.run("podman", "inspect", "--format", form, container).stdout.strip()

    def logs(self, container: str) -> tuple[str, str]:
        """What it wrote to stdout, the guest's console, and to stderr, the launcher's log."""
        done = self.run("podman", "logs", container)
        return done.stdout, done.stderr

    def wait(self, container: str) -> int:
        """Wait for its end. Returns its exit status."""
        return int(self.run("podman", "wait", container).stdout)

    def remove_all(self) -> None:
        """Remove all containers and volumes, those of an earlier run that was killed among them."""
        deadline = time.monotonic() + PATIENCE
        # One that ends just now may refuse to be removed.
        while self.run("podman", "ps", "--all", "--quiet").stdout:
            done = self.run("podman", "rm", "--all", "--force", "--time", "0", check=False)
            assert time.monotonic() < deadline, done.stderr
        self.run("podman", "volume", "prune", "--force")


@contextmanager
def host() -> Iterator[Host]:
    """A host with no container on it; none runs afterwards."""
    with store.locked("host"), namespaces("host") as (space,):
        made = Host(engine.ours(), space)
        made.remove_all()
        try:
            yield made
        finally:
            made.remove_all()
