"""The VM of examples/podman.sh, started as that file says."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.containers.host import Host
from tests.containers.image import ROOT
from tests.pods.ssh import Client, Key

EXAMPLE = ROOT / "examples/podman.sh"
NAME = "my-vm"

# Seconds from power-on to ssh are a handful; a busy machine may need many times that.
BOOT_PATIENCE = 180.0


class Vm(NamedTuple):
    """`image` is the guest's address; `folder` is where the user runs `script`."""

    host: Host
    folder: Path
    key: Key
    image: str
    script: Path = EXAMPLE

    def write_userdata(self) -> None:
        """By the example's own command, for a user whose key is in the usual place."""
        (command,) = re.findall(r"^#   (printf .*)$", EXAMPLE.read_text("utf-8"), re.MULTILINE)
        (self.folder / ".ssh").mkdir(exist_ok=True)
        (self.folder / ".ssh/id_ed25519.pub").write_text(f"{self.key.public}\n", "utf-8")
        environment = {**os.environ, "HOME": str(self.folder)}
        subprocess.run(["sh", "-ec", command], cwd=self.folder, env=environment, check=True)

    def create(self, *options: str) -> None:
        """Run the example, with a guest that boots fast on a machine that can only emulate."""
        self.write_userdata()
        settings = {
            "IMG_SOURCE": self.image,
            "IMG_CHECKSUM": "",
            "ACCEL": "tcg",
            "VM_MEMORY": "192M",
        }
        words = [f"--env={name}={value}" for name, value in settings.items()]
        self.host.run(self.script, *words, *options, cwd=self.folder)

    def wait_for_ssh(self) -> float:
        """Wait until the container's address leads to an SSH server. Returns the seconds."""
        begun = time.monotonic()
        client = self.client
        while not client.is_served():
            assert self.is_running, self.log
            assert time.monotonic() - begun < BOOT_PATIENCE, self.log
            time.sleep(0.05)
        return time.monotonic() - begun

    def wait_for_console(self, words: str) -> None:
        """Wait until the guest has written `words` on its console."""
        begun = time.monotonic()
        while words not in self.host.logs(NAME)[0]:
            assert self.is_running, self.log
            assert time.monotonic() - begun < BOOT_PATIENCE, self.log
            time.sleep(0.1)

    @property
    def address(self) -> str:
        return self.host.address(NAME)

    @property
    def client(self) -> Client:
        return Client(self.host.space, self.address, self.key, self.folder / "known_hosts")

    @property
    def is_running(self) -> bool:
        return self.host.inspect(NAME, ".State.Running") == "true"

    @property
    def log(self) -> str:
        return "\n".join(self.host.logs(NAME))

    def ssh(self, command: str) -> str:
        return self.client.run(command).decode().removesuffix("\n")
