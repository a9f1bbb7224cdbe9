"""What is on the shared volume: bases and who needs them, fetches, and what was left behind."""

import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import StorageError
from launcher.image.store import bases, finding, naming, record, references
from launcher.image.store.following import Clock, settled
from launcher.image.store.lease import NAME, Claim, State, Timing
from launcher.image.store.record import Record
from launcher.image.store.references import Reference
from launcher.image.wanted import STORED

RECORD = re.compile(r"sha256-([0-9a-f]{64})\.json")

# Parts and the lists of them are named by the address, as its lease is.
FETCHED = re.compile(r"fetch-([0-9a-f]{32})\.(?!lease).+")

# Files under way, as launcher.image.temporary and launcher.image.store.references name them.
TEMPORARY = re.compile(r"(fetch-[0-9a-f]{32}|sha256-[0-9a-f]{64})\..+\.part")

# The same for people's names of bases. Browsers and people call their own files so, too: ours are
# links to bases, or empty because they were about to become one.
TEMPORARY_NAME = re.compile(r".+\.([a-z0-9_]{8}|[0-9a-f]{16})\.part")


class Stored(NamedTuple):
    """A base. `size`: bytes of its file, None where that is gone; `virtual_size`: of the disk
    inside. `names`: links to it. `changed`: when it or its record was put there, seconds since the
    epoch. `problem`: why it must not be used, empty if nothing is wrong at a glance."""

    digest: str
    size: int | None
    record: Record | None
    names: tuple[str, ...]
    pets: tuple[Reference, ...]
    changed: float
    problem: str = ""

    @property
    def virtual_size(self) -> int | None:
        return self.record.virtual_size if self.record else None


class Fetch(NamedTuple):
    """Fetches of one address: files that they left, bytes of them on the disk, when one of them
    changed last (seconds since the epoch), and the lease in force if there is one."""

    key: str
    files: tuple[str, ...]
    size: int
    changed: float
    claim: Claim | None = None
    state: State | None = None

    @property
    def can_be_continued(self) -> bool:
        return {f"fetch-{self.key}.part", f"fetch-{self.key}.json"} <= set(self.files)


class Leftover(NamedTuple):
    """A file that belongs to nobody any more, as far as its name and age tell. `is_empty`: whether
    it is a file of no bytes."""

    name: str
    size: int
    changed: float
    is_empty: bool = False


class Inventory(NamedTuple):
    """`dangling`: names of bases that are gone."""

    folder: Path
    bases: tuple[Stored, ...]
    fetches: tuple[Fetch, ...]
    leftovers: tuple[Leftover, ...]
    dangling: tuple[str, ...]


def look(folder: Path, timing: Timing, boot: str, clock: Clock) -> Inventory:
    """See what is there. Takes as long as it takes to see whether a fetch is at work.

    :param timing: how long a fetch elsewhere may be silent before it counts as dead.
    :raise StorageError: when there is no shared volume, or it cannot be read.
    """
    names = {}
    try:
        for each in folder.iterdir():
            with suppress(FileNotFoundError):
                names[each.name] = _file(each)
    except FileNotFoundError as err:
        raise StorageError(
            f"SHARED_DIR={str(folder)!r} is not there",
            hint="it is where the shared volume is mounted in the container",
        ) from err
    except OSError as err:
        raise StorageError(f"the shared volume {folder} cannot be read: {err.strerror}") from err
    links: dict[str, list[str]] = {}
    keys: dict[str, list[str]] = {}
    digests, leftovers = set(), []
    for name, file in sorted(names.items()):
        if (folder / name).is_symlink():
            digest = naming.named(folder / name)
            if digest and TEMPORARY_NAME.fullmatch(name):
                leftovers.append(file)
            elif digest:
                links.setdefault(digest, []).append(name)
            continue
        for pattern in (STORED, RECORD, finding.STORED, references.FOLDER):
            if match := pattern.fullmatch(name):
                digests.add(match[1])
        if match := NAME.fullmatch(name.removesuffix(".followed")) or FETCHED.fullmatch(name):
            keys.setdefault(match[1], []).append(name)
        elif TEMPORARY.fullmatch(name) or (TEMPORARY_NAME.fullmatch(name) and file.is_empty):
            leftovers.append(file)
    fetches = []
    for key, files in keys.items():
        seen, state = settled(folder, key, timing=timing, boot=boot, clock=clock)
        fetches.append(
            Fetch(
                key=key,
                files=tuple(files),
                size=sum(names[each].size for each in files),
                changed=max(names[each].changed for each in files),
                claim=seen.claim if seen else None,
                state=state,
            )
        )
    return Inventory(
        folder=folder,
        bases=tuple(_stored(folder, each, tuple(links.get(each, ()))) for each in sorted(digests)),
        fetches=tuple(fetches),
        leftovers=tuple(leftovers),
        dangling=tuple(
            name
            for digest, under in links.items()
            for name in under
            if f"sha256-{digest}.qcow2" not in names
        ),
    )


def _stored(folder: Path, digest: str, names: tuple[str, ...]) -> Stored:
    path, record_path = naming.base_path(folder, digest), naming.record_path(folder, digest)
    known = record.read(record_path)
    changed, size, problem = 0.0, None, ""
    for each in (path, record_path):
        try:
            status = each.lstat()
        except FileNotFoundError:
            continue
        changed = max(changed, status.st_mtime)
        if each == path:
            size = status.st_size
            problem = bases.difference(status, digest, known)
            if known and not problem:
                problem = str(finding.read(folder, digest, known) or "")
    if size is None:
        problem = "it is gone"
    return Stored(digest, size, known, names, references.read(folder, digest), changed, problem)


def _file(path: Path) -> Leftover:
    """A file; or a folder of a fetch with what is in it, which may be changed while the folder is
    not. Other folders are none of ours: each ext4 has one that only root may list."""
    parts = [path.lstat()]
    if stat.S_ISDIR(parts[0].st_mode) and TEMPORARY.fullmatch(path.name):
        # Another user's tells nothing.
        with suppress(PermissionError):
            parts += [each.lstat() for each in path.iterdir()]
    return Leftover(
        path.name,
        size=sum(each.st_blocks for each in parts) * 512,
        changed=max(each.st_mtime for each in parts),
        is_empty=stat.S_ISREG(parts[0].st_mode) and not parts[0].st_size,
    )
