"""OpenSSH's client in a namespace, with a key of its own."""

import subprocess
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.pods.namespaces import Namespace

# Seconds for one command, which an emulated processor has to do ciphers for.
PATIENCE = 120.0
# An address that nothing answers at yet is asked this often. Seconds.
ATTEMPT = 0.25


@dataclass(frozen=True)
class Key:
    """`path` is the private key's; `public` one line, as authorized_keys has it."""

    path: Path
    public: str


def make_key(folder: Path) -> Key:
    path = folder / "id_ed25519"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "berth-tests", "-f", path],
        check=True,
    )
    return Key(path, path.with_suffix(".pub").read_text(encoding="utf-8").strip())


@dataclass(frozen=True)
class Client:
    """Logs in as root at `address`, from `namespace`; None is this machine's own.

    The first host key that is seen there is kept in `known_hosts`; another one is refused. It is
    kept under the `alias`, if there is one, for a host that comes back at another address.
    """

    namespace: Namespace | None
    address: str
    key: Key
    known_hosts: Path
    port: int = 22
    alias: str = ""

    def argv(self, *command: str) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "30",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": str(self.key.path),
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": str(self.known_hosts),
        }
        if self.alias:
            options["HostKeyAlias"] = self.alias
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        words += ["-p", str(self.port)]
        return ["ssh", "-F", "none", *words, f"root@{self.address}", *command]

    def run(self, command: str, stdin: bytes = b"", timeout: float = PATIENCE) -> bytes:
        """Run a shell command in the guest. Returns what it wrote to stdout."""
        done = self.attempt(command, stdin, timeout)
        assert done.returncode == 0, f"{command}: exited {done.returncode}: {done.stderr.decode()}"
        return done.stdout

    def attempt(
        self, command: str, stdin: bytes = b"", timeout: float = PATIENCE
    ) -> "subprocess.CompletedProcess[bytes]":
        """The same, whatever becomes of it."""
        enter = ["ip", "netns", "exec", self.namespace.name] if self.namespace else []
        return subprocess.run(
            [*enter, *self.argv(command)], input=stdin, capture_output=True, timeout=timeout
        )

    def is_served(self) -> bool:
        """Whether an SSH server shows itself."""
        import socket

        made = self.namespace.socket if self.namespace else partial(socket.socket, socket.AF_INET)
        with made(socket.SOCK_STREAM) as attempt:
            attempt.settimeout(ATTEMPT)
            try:
                attempt.connect((self.address, self.port))
                # A server that is there may still take its time.
                attempt.settimeout(PATIENCE)
                return attempt.recv(4) == b"SSH-"
            except OSError:
                return False

    def wait(self, timeout: float = PATIENCE) -> None:
        """Wait until an SSH server shows itself."""
        deadline = time.monotonic() + timeout
        while not self.is_served():
            assert time.monotonic() < deadline, f"no ssh at {self.address} within {timeout:g} s"
            time.sleep(0.02)
