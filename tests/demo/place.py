"""Where the demo keeps what it makes, and what it calls it."""

import os
from dataclasses import dataclass
from pathlib import Path

# The pod's namespace, the interface by which this machine reaches it, and the two addresses.
NAMESPACE = "berth-demo"
INTERFACE = "berth-demo"
HOST_ADDRESS, POD_ADDRESS, PREFIX = "10.253.77.1", "10.253.77.2", 30
VM_NAME = "demo-0"


@dataclass(frozen=True)
class Place:
    """A folder with all that is the demo's; it goes with `./dev demo down`."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def pid(self) -> Path:
        return self.folder / "startvm.pid"

    @property
    def log(self) -> Path:
        return self.folder / "startvm.log"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def resolv_conf(self) -> Path:
        """`ip netns exec` shows programs this one in the place of /etc/resolv.conf."""
        return Path("/etc/netns") / NAMESPACE / "resolv.conf"

    def environment(self, image: Path) -> dict[str, str]:
        """What the chart would set, and folders in the place of volumes."""
        return {
            "PATH": os.environ["PATH"],
            "IMG_SOURCE": str(image),
            "VM_NAME": VM_NAME,
            "VM_MEMORY": "256M",
            "USERDATA_FILE": str(self.folder / "userdata"),
            "SHARED_DIR": str(self.folder / "shared"),
            "PET_DIR": str(self.folder / "pet"),
            "RUN_DIR": str(self.folder / "run"),
        }

    def ssh(self) -> list[str]:
        """A command that logs in to the VM; whoever copies it needs nothing else."""
        return [
            "ssh",
            "-i", str(self.key),
            "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "-o", "StrictHostKeyChecking=accept-new",
            f"root@{POD_ADDRESS}",
        ]  # fmt: skip


def place() -> Place:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "berth"
    return Place(Path(os.environ.get("BERTH_CACHE", cache)) / "demo")
