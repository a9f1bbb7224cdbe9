"""Where the demo keeps what it makes, and what it calls it."""

import os
from dataclasses import dataclass
from pathlib import Path

# The Helm release; its VM's pod is named after it.
RELEASE = "demo"
POD = f"{RELEASE}-0"

# A guest of 17 MiB in the place of Debian, which takes a minute to boot where it is emulated.
VALUES = """\
className: standard
sshKey: {key}
image:
  source: {source}
  checksum: {checksum}
vm:
  memory: 256Mi
  diskSize: 1Gi
"""


@dataclass(frozen=True)
class Place:
    """A folder with all that is the demo's own; it goes with `./dev demo down`."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def made_cluster(self) -> Path:
        """A mark: the cluster was not there before the demo, and goes with it."""
        return self.folder / "made-cluster"

    @property
    def values(self) -> Path:
        """What the demo's user has edited."""
        return self.folder / "values.yaml"

    def ssh(self, address: str) -> list[str]:
        """A command that logs in to the VM; whoever copies it needs nothing else."""
        return [
            "ssh",
            "-i", str(self.key),
            "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "-o", "StrictHostKeyChecking=accept-new",
            f"root@{address}",
        ]  # fmt: skip


def place() -> Place:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "berth"
    return Place(Path(os.environ.get("BERTH_CACHE", cache)) / "demo")
