"""Build a Go module's programs once, whoever asks, and keep only the programs.

Go keeps every source and every compiled package it has seen: ten gigabytes for what is built here.
So it gets caches that are thrown away afterwards, unless GOMODCACHE or GOCACHE is set: whoever sets
them has said where to keep things.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster.programs.pins import PROGRAMS, Module
from tests.cluster.programs.progress import Progress
from tests.guests import cache

# Other checkouts share the cache and may be at other versions.
KEEP_UNUSED_SECONDS = 14 * 24 * 3600

# Of Go 1: the first that fetches the newer one that a module asks for.
OLDEST_GO = 21

NO_GO = """\
{what}, and {programs} must be built.
hint: Go 1.21 or later will do (a newer one that a module asks for is then fetched by itself);
Debian 13 has it as golang-go, https://go.dev/dl has the newest."""


class BuildError(Exception):
    """A program could not be built; says why in Go's words."""


def find(name: str) -> Path:
    """The path of a program, which is built first when the cache has none.

    :raise KeyError: when there is no such program; `pins.PROGRAMS` names all.
    :raise BuildError: when it cannot be built.
    """
    prepare(name)
    return _place(PROGRAMS[name]) / name


def search_path(*names: str) -> str:
    """PATH with these programs before all others that are called so."""
    ours = dict.fromkeys(os.fspath(find(name).parent) for name in names)
    return os.pathsep.join([*ours, os.environ.get("PATH", os.defpath)])


def prepare(*names: str) -> None:
    """See to it that `find` has these programs without building; builds what is missing.

    :raise KeyError: when there is no such program.
    :raise BuildError: when one cannot be built.
    """
    modules = list(dict.fromkeys(PROGRAMS[name] for name in names))
    if any(not _place(module).exists() for module in modules):
        _folder().mkdir(parents=True, exist_ok=True)
        with _one_at_a_time():
            missing = [module for module in modules if not _place(module).exists()]
            if missing:
                _build_all(missing)
    for module in modules:
        with suppress(PermissionError):  # a cache that somebody else filled
            os.utime(_place(module))


def _folder() -> Path:
    return cache.folder() / "programs"


def _place(module: Module) -> Path:
    return _folder() / f"{module.name}-{module.key}"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (_folder() / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("== waiting for another process that builds programs", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_all(modules: list[Module]) -> None:
    go = _usable_go(", ".join(each.title for each in modules))
    # Whoever holds the lock is the only builder: what is found now was left by one that died.
    for dead in _folder().glob(".build-*"):
        _remove(dead)
    work = Path(tempfile.mkdtemp(dir=_folder(), prefix=".build-"))
    try:
        for module in modules:
            _build(go, module, work)
            _drop_unused(module)
    finally:
        _remove(work)


def _usable_go(programs: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise BuildError(NO_GO.format(what="There is no `go` in PATH", programs=programs))
    told = subprocess.run([go, "version"], capture_output=True, text=True).stdout.strip()
    version = re.search(r"\bgo1\.(\d+)", told)
    if version and int(version[1]) < OLDEST_GO:
        raise BuildError(NO_GO.format(what=f"{go} is too old ({told})", programs=programs))
    return go


def _build(go: str, module: Module, work: Path) -> None:
    bin_folder = work / module.name
    bin_folder.mkdir()
    environment = _environment(work, bin_folder)
    progress = Progress(f"building {module.title} {module.version}", module.minutes)
    with progress:
        # The tools of go.mod are a pattern of their own since Go 1.24.
        listed = _go(go, module, environment, progress, "list", "-deps", "tool")
        progress.expect(len(listed.splitlines()))
        _go(go, module, environment, progress, "install", "-v", "-ldflags", module.ldflags, "tool")
    for ours, theirs in module.renamed.items():
        (bin_folder / theirs).rename(bin_folder / ours)
    if missing := set(module.programs) - {path.name for path in bin_folder.iterdir()}:
        raise BuildError(f"{module.folder / 'go.mod'} has no tool line for {', '.join(missing)}")
    bin_folder.rename(_place(module))


def _environment(work: Path, bin_folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": os.fspath(bin_folder),
        "GOCACHE": os.environ.get("GOCACHE") or os.fspath(work / "cache"),
        "GOMODCACHE": os.environ.get("GOMODCACHE") or os.fspath(work / "modules"),
        # Debian's Go would not fetch a newer one that go.mod asks for, unless it is told to.
        "GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN") or "auto",
        # Not the machine's settings: what is built must not depend on whose machine it is.
        "GOFLAGS": "-trimpath -mod=readonly -modcacherw -buildvcs=false",
        "GOWORK": "off",
    }


def _go(
    go: str, module: Module, environment: Mapping[str, str], progress: Progress, *arguments: str
) -> str:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        process = subprocess.Popen(
            [go, *arguments],
            cwd=module.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        with process:
            assert process.stderr is not None
            try:
                said = progress.follow(process.stderr)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise BuildError(
                f"go {arguments[0]} in {module.folder} ended with status {process.returncode}:\n"
                + "".join(said)
            )
        out.seek(0)
        return out.read()


def _drop_unused(module: Module) -> None:
    oldest = time.time() - KEEP_UNUSED_SECONDS
    for other in _folder().glob(f"{module.name}-*"):
        if other != _place(module) and other.stat().st_mtime < oldest:
            _remove(other)


def _remove(folder: Path) -> None:
    """Remove a tree with what Go wrote protected."""
    for root, _, _ in os.walk(folder):
        with suppress(OSError):
            Path(root).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
