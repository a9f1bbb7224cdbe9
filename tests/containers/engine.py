"""podman with a storage and settings of its own: nobody's containers and images are touched.

What is in the storage is there for speed alone: layers that were built before. What the tests of
other tiers use is files in the cache, see `tests.containers.image`.
"""

import hashlib
import os
import subprocess
from pathlib import Path

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


def folder() -> Path:
    """Where podman keeps everything. Below it, root's files belong to containers: hands off."""
    return cache_folder() / "containers"


def environment() -> dict[str, str]:
    """The environment in which `podman`, as anybody would type it, is ours.

    :raise MissingPackagesError: when it is not installed.
    """
    require_packages(DEBIAN_PACKAGES)
    here = folder()
    (here / "networks").mkdir(parents=True, exist_ok=True)
    # Two caches share nothing.
    run_root = RUN_ROOT / hashlib.sha256(bytes(here)).hexdigest()[:8]
    names = {"folder": here, "run_root": run_root}
    return {
        **os.environ,
        "CONTAINERS_CONF": str(_written(here / "containers.conf", CONTAINERS_CONF, names)),
        "CONTAINERS_STORAGE_CONF": str(_written(here / "storage.conf", STORAGE_CONF, names)),
    }


def podman(*argv: str | Path, cwd: Path | None = None) -> str:
    """Run podman to its end and return its standard output.

    :raise CommandError: when it fails; carries both of its outputs.
    """
    done = subprocess.run(
        ["podman", *argv],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CommandError(done.returncode, ["podman", *argv], done.stdout + done.stderr)
    return done.stdout


def _written(path: Path, template: str, names: dict[str, Path]) -> Path:
    text = template.format(**names)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        # Another podman may be reading it.
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    return path
