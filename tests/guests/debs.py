"""Debian packages as material: fetched with apt and unpacked, without installing them or root."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.guests.commands import CommandError, run

DEBIAN_PACKAGES = ("apt", "dpkg")


class Apt:
    """This machine's apt sources, used from a folder of our own and leaving no trace outside it.

    The machine's package lists are used as they are; when they are missing or too old to download
    by, fresh ones are fetched into that folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives = folder / "archives"
        (self._archives / "partial").mkdir(parents=True)
        # No package counts as installed here, or apt would leave out the libraries this machine
        # happens to have.
        status = folder / "status"
        status.touch()
        self._options = [
            f"Dir::State::status={status}",
            f"Dir::Cache={folder}",
            f"Dir::Cache::archives={self._archives}",
            "APT::Sandbox::User=",
            "Debug::NoLocking=true",
        ]
        self._fresh = False

    def kernel(self) -> str:
        """Name of the package that Debian's cloud kernel metapackage stands for today."""
        listing = self._run("apt-cache", "depends", "--important", "linux-image-cloud-amd64")
        for line in listing.splitlines():
            kind, _, package = line.strip().partition(": ")
            if kind == "Depends" and package.startswith("linux-image-"):
                return package
        raise LookupError(f"linux-image-cloud-amd64 depends on no kernel: {listing!r}")

    def unpack(self, packages: Sequence[str], tree: Path, *, dependencies: bool) -> None:
        """Put the files of packages, or of all that they depend on too, under ``tree``.

        What older Debian packages have in /bin, /sbin, /lib and /lib64 is below ``usr`` there.
        """
        archives = self._dependencies_of(packages) if dependencies else self._only(packages)
        for archive in archives:
            run("dpkg-deb", "--extract", archive, tree)
        for name in ("bin", "sbin", "lib", "lib64"):
            if (tree / name).is_dir():
                (tree / "usr" / name).mkdir(exist_ok=True)
                run("cp", "--archive", "--link", f"{tree / name}/.", tree / "usr" / name)
                shutil.rmtree(tree / name)

    def _dependencies_of(self, packages: Sequence[str]) -> list[Path]:
        install = ("install", "--quiet", "--yes", "--no-install-recommends", "--download-only")
        self._run("apt-get", *install, *packages)
        return sorted(self._archives.glob("*.deb"))

    def _only(self, packages: Sequence[str]) -> list[Path]:
        downloads = self._folder / "downloads"
        downloads.mkdir()
        self._run("apt-get", "download", "--quiet", *packages, cwd=downloads)
        return sorted(downloads.glob("*.deb"))

    def _run(self, tool: str, *arguments: str, cwd: Path | None = None) -> str:
        try:
            return run(tool, *self._flags(), *arguments, cwd=cwd)
        except CommandError:
            if self._fresh:
                raise
        print("fetching fresh package lists ...", file=sys.stderr, flush=True)
        self._fresh = True
        lists = self._folder / "lists"
        (lists / "partial").mkdir(parents=True)
        self._options.append(f"Dir::State::lists={lists}")
        run("apt-get", *self._flags(), "update")
        return run(tool, *self._flags(), *arguments, cwd=cwd)

    def _flags(self) -> list[str]:
        return [word for option in self._options for word in ("-o", option)]


def libraries(tree: Path, programs: Iterable[Path]) -> set[Path]:
    """Shared libraries, the loader among them, that programs unpacked under ``tree`` need.

    The answer comes from the loader in the tree itself. Nothing outside the tree counts.

    :raise LookupError: when a library is not in the tree.
    """
    loader = next(p for p in tree.rglob("ld-linux-x86-64.so.2") if not p.is_symlink())
    folder = tree / "usr/lib/x86_64-linux-gnu"
    found = {loader}
    for program in programs:
        listing = run(loader, "--inhibit-cache", "--library-path", folder, "--list", program)
        for line in listing.splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            if not arrow or name.startswith("/"):
                continue  # the kernel's vdso, and the loader
            library = Path(rest.split(" (")[0])
            if tree not in library.parents:
                raise LookupError(f"{program} needs {name}, which no downloaded package has")
            found.add(library)
    return found
