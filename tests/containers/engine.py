"""podman with a storage and settings of its own: nobody's containers and images are touched.

What is in the storage is there for speed alone: layers that were built before. What the tests of
other tiers use is files in the cache, see `tests.containers.image`.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.guests.cache import folder as cache_folder
from tests.guests.commands import CommandError, require_packages

DEBIAN_PACKAGES = ("podman", "runc")

# Where the state of mounts and containers is, which a reboot ends.
RUN_ROOT = Path("/run/berth-containers")

# runc and cgroupfs: they work without systemd and with the mixed hierarchies of control groups that
# crun refuses. Limits: podman's own are more than root may give who has no CAP_SYS_RESOURCE.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{run_root}/libpod"
[network]
network_config_dir = "{folder}/networks"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "{run_root}/storage"
"""


class Podman(NamedTuple):
    """`folder` is where it keeps everything. What is in there belongs to containers: hands off."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `podman`, as anybody would type it, is this one.

        :raise MissingPackagesError: when it is not installed.
        """
        require_packages(DEBIAN_PACKAGES)
        (self.folder / "networks").mkdir(parents=True, exist_ok=True)
        names = {"folder": self.folder, "run_root": self._run_root}
        return {
            **os.environ,
            "CONTAINERS_CONF": self._write("containers.conf", CONTAINERS_CONF.format(**names)),
            "CONTAINERS_STORAGE_CONF": self._write("storage.conf", STORAGE_CONF.format(**names)),
        }

    def run(self, *argv: str | Path) -> str:
        """Run podman to its end and return its standard output.

        :raise CommandError: when it fails; carries both of its outputs.
        """
        done = subprocess.run(
            ["podman", *argv],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise CommandError(done.returncode, ["podman", *argv], done.stdout + done.stderr)
        return done.stdout

    def remove(self) -> None:
        """Remove everything, as far as nothing runs."""
        for folder in (self.folder, self._run_root):
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def _run_root(self) -> Path:
        return RUN_ROOT / hashlib.sha256(bytes(self.folder)).hexdigest()[:8]

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            # Another podman may be reading it.
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
        return str(path)


def ours() -> Podman:
    """The one that this cache has, with the layers of earlier builds."""
    return Podman(cache_folder() / "containers")
