"""A pod that runs startvm, in namespaces of a `Site`, once or one time after another."""

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.pods import container
from tests.pods.container import ORDINARY, Rights
from tests.pods.output import Output
from tests.pods.run import END_PATIENCE, Run
from tests.pods.shapes import Site
from tests.pods.ssh import Client, Key

COMMANDS = Path(sys.executable).parent
# As little as the tiny guest boots with in comfort.
MEMORY = "192M"
# Seconds from power-on to ssh are a handful; a busy machine may need many times that.
BOOT_PATIENCE = 180.0


@dataclass
class Pod:
    """`settings` are what startvm gets in its environment; `image` is the guest's; `devices` are
    those of this machine that the container has besides what every container has. `open` makes the
    folder a volume that other users than root can reach.

    The volumes are folders in `folder`: shared, pet, volumes, disks, and run.
    """

    site: Site
    folder: Path
    key: Key
    image: Path
    name: str = "web-3"
    settings: dict[str, str] = field(default_factory=dict)
    rights: Rights = ORDINARY
    devices: Collection[str] = ()
    open: bool = False
    runs: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("shared", "pet", "volumes", "disks"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.settings = {
            "IMG_SOURCE": str(self.image),
            "VM_MEMORY": MEMORY,
            "ACCEL": "tcg",
            "SHARED_DIR": str(self.folder / "shared"),
            "PET_DIR": str(self.folder / "pet"),
            "VOLUMES_DIR": str(self.folder / "volumes"),
            "DISKS_DIR": str(self.folder / "disks"),
            "RUN_DIR": str(self.folder / "run"),
            **self.settings,
        }
        if not self.userdata.exists():
            self.write_userdata()

    @property
    def userdata(self) -> Path:
        return self.folder / "userdata"

    @property
    def metadata(self) -> Path:
        return self.folder / "metadata"

    @property
    def disk(self) -> Path:
        return self.folder / "pet" / f"{self.name}.qcow2"

    @property
    def run_dir(self) -> Path:
        return Path(self.settings["RUN_DIR"])

    def write_userdata(self, *lines: str) -> None:
        """A cloud-config that lets our key in, with further lines after it."""
        text = ["#cloud-config", "ssh_authorized_keys:", f"  - {self.key.public}", *lines, ""]
        self.userdata.write_text("\n".join(text), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        files = {"USERDATA_FILE": self.userdata, "METADATA_FILE": self.metadata}
        given = {name: str(path) for name, path in files.items() if path.exists()}
        return {"PATH": os.environ["PATH"], **given, **self.settings}

    def command(self, *argv: str) -> list[str]:
        return container.command(
            self.site.pod,
            self.name,
            argv,
            self.rights,
            self.devices,
            [self.folder] if self.open else [],
        )

    def start(self, *arguments: str, **settings: str) -> Run:
        """Start the container. `settings` are for this run only."""
        console, log = Output(), Output()
        begun = time.monotonic()
        process = subprocess.Popen(
            self.command(str(COMMANDS / "startvm"), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=console.fd,
            stderr=log.fd,
            env={**self.environment, **settings},
            start_new_session=True,
        )
        os.close(console.fd)
        os.close(log.fd)
        self.runs.append(Run(process, console, log, begun))
        return self.runs[-1]

    def boot(self, *arguments: str, **settings: str) -> Run:
        """Start the container, and wait until its guest serves ssh at the pod's address."""
        run = self.start(*arguments, **settings)
        self.wait_for_ssh(run)
        return run

    def wait_for_ssh(
        self, run: Run, timeout: float = BOOT_PATIENCE, client: Client | None = None
    ) -> float:
        """Wait until ssh is served. Returns the seconds since startvm was started."""
        client, deadline = client or self.client, run.begun + timeout
        while not client.is_served():
            assert run.is_alive, f"startvm ended:\n{run.log.tail}"
            assert time.monotonic() < deadline, (
                f"no ssh after {timeout:g} s:\n{run.log.tail}\n{run.console.tail}"
            )
            time.sleep(0.02)
        return time.monotonic() - run.begun

    def exec(
        self, *argv: str, check: bool = True, **settings: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program beside startvm, as `kubectl exec` does."""
        done = subprocess.run(
            self.command(*argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**self.environment, **settings},
            timeout=END_PATIENCE,
        )
        assert done.returncode == 0 or not check, f"{argv}: {done.stderr}"
        return done

    def berth(
        self, *arguments: str, check: bool = True, **settings: str
    ) -> "subprocess.CompletedProcess[str]":
        return self.exec(str(COMMANDS / "berth"), *arguments, check=check, **settings)

    @property
    def client(self) -> Client:
        site = self.site
        return Client(site.client, site.pod_ip, self.key, self.folder / "known_hosts")

    def ssh(self, command: str, stdin: bytes = b"") -> str:
        """Run a shell command in the guest. Returns what it wrote to stdout, without the last
        line's end."""
        return self.client.run(command, stdin).decode().removesuffix("\n")

    def close(self) -> None:
        """End whatever still runs."""
        for run in self.runs:
            run.end_all()


@contextmanager
def pod(
    site: Site,
    folder: Path,
    key: Key,
    image: Path,
    settings: Mapping[str, str] = {},
    name: str = "web-3",
) -> Iterator[Pod]:
    """A pod in which nothing runs yet; nothing runs in it afterwards."""
    made = Pod(site, folder, key, image, name, dict(settings))
    try:
        yield made
    finally:
        made.close()
