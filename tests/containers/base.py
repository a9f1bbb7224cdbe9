"""What the Dockerfile starts from, made here from Debian's packages.

The same as Debian's own slim image, as far as a build on top of it can tell the difference: the
required packages and apt, without documentation.
"""

import platform
import time
from pathlib import Path

from tests.containers import store
from tests.containers.engine import Podman
from tests.guests import bootstrap, cache
from tests.guests.commands import require_packages, run

DEBIAN_PACKAGES = ("apt", "debian-archive-keyring", "mmdebstrap")

# What the Dockerfile's FROM asks for.
REFERENCE = "debian:trixie-slim"
SUITE = "trixie"

# Debian's archive moves on, slowly.
KEEP_SECONDS = 7 * 24 * 3600

_LEFT_OUT = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
# 2026-01-01, as in the Dockerfile: files that are newer get this date.
_EPOCH = "1767225600"

NO_ARCHIVE = """\
apt knows no Debian archive here, by which Debian 13 could be had.
hint: build the image on a Debian, or from the published debian:trixie-slim with podman build ."""


def archive() -> Path:
    """A tar of the base's files, made when there is none of this week.

    :raise MissingPackagesError: when it must be made and the tools for it are not installed.
    """
    target = (
        store.folder() / f"base-{cache.fingerprint([Path(__file__), Path(bootstrap.__file__)])}.tar"
    )
    with store.locked(target.name):
        if not target.exists() or target.stat().st_mtime < time.time() - KEEP_SECONDS:
            cache.make(target, _make)
            store.drop_others("base", keep=target)
    return target


def _make(work: Path) -> Path:
    require_packages(DEBIAN_PACKAGES)
    tar = work / "base.tar"
    sources = work / "sources.list"
    sources.write_text("\n".join(_sources()) + "\n", encoding="utf-8")
    bootstrap.mmdebstrap(
        *(f"--dpkgopt={line}" for line in _LEFT_OUT),
        SUITE,
        tar,
        sources,
        # mmdebstrap makes the same tar of the same packages then.
        env={"SOURCE_DATE_EPOCH": _EPOCH, "TMPDIR": str(work)},
    )
    return tar


def _sources() -> list[str]:
    """Debian 13's lines for the archives that this machine, a Debian, gets its packages from.

    :raise FileNotFoundError: when it has none.
    """
    listing = run(
        "apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"
    )
    archives = dict(line.split(" ", 1) for line in reversed(listing.splitlines()))
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    if release not in archives:
        raise FileNotFoundError(NO_ARCHIVE)
    suites = {
        SUITE: release,
        f"{SUITE}-updates": release,
        f"{SUITE}-security": f"{release}-security",
    }
    return [
        f"deb {archives[ours].rstrip('/')} {theirs} main"
        for theirs, ours in suites.items()
        if ours in archives
    ]


def reference(podman: Podman) -> str:
    """The name under which the base is in podman's storage, where it is put if need be."""
    tar = archive()
    # What is there under the plain name may be of another week.
    exact = f"localhost/berth-base:{store.digest(tar)[:16]}"
    if not podman.run("images", "--quiet", exact).strip():
        podman.run("import", "--quiet", tar, exact)
    podman.run("tag", exact, REFERENCE)
    return REFERENCE
