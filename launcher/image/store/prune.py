"""Remove what nobody needs from the shared volume, while others start and fetch.

A base's record is hidden first, and then it is asked once more whether there are references.
Whoever wrote one before that keeps the base; whoever writes one afterwards finds no record, takes
the base for gone and fetches it. That may bring it back before we go on, so the base itself is
renamed before it is removed, and references are looked for a last time. What is removed in the end
has a name that only we know.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from launcher.image.store import finding, hiding, holding, leftovers, naming, references
from launcher.image.store.following import Clock, is_sole, settled
from launcher.image.store.lease import Claim, Kernel, Timing
from launcher.image.store.plan import ABANDONED, Step


def base(folder: Path, digest: str) -> bool:
    """Remove a base, its record, its names and what was found of it. False where somebody needs it:
    then it is there.

    :raise OSError: where that is impossible.
    """
    if references.read(folder, digest):
        return False
    mark = hiding.draw()
    hidden: list[tuple[Path, Path]] = []
    for path in (naming.record_path(folder, digest), naming.base_path(folder, digest)):
        aside = path.with_name(path.name + mark)
        with suppress(FileNotFoundError):
            path.rename(aside)
            hidden.insert(0, (aside, path))
        if not _is_free(folder, digest):
            for there, back in hidden:
                hiding.put_back(there, back)
            return False
    for aside, _ in hidden:
        aside.unlink(missing_ok=True)
    if naming.base_path(folder, digest).exists():
        return False
    finding.remove(folder, digest)
    for each in folder.iterdir():
        # A start, or another prune, may remove it at the same time.
        if each.is_symlink() and naming.named(each) == digest:
            name(each)
    return True


def name(link: Path) -> bool:
    """Remove a name whose base is gone; False if it has one by now."""
    aside = link.with_name(f"{link.name[:200]}.{os.urandom(8).hex()}.part")
    with suppress(FileNotFoundError):
        link.rename(aside)
        if aside.exists():
            hiding.put_back(aside, link)
            return False
        aside.unlink(missing_ok=True)
    return True


def fetch(folder: Path, key: str, *, timing: Timing, boot: str, clock: Clock) -> bool:
    """Remove what fetches of an address left; False if one is at work, or was not long ago and may
    wake up. Nobody begins one meanwhile: for that long it is ours.

    :raise OSError: where something of it cannot be removed; the rest is.
    """
    seen, state = settled(folder, key, timing=timing, boot=boot, clock=clock)
    if state == "alive" or not (is_sole(seen, state) or _is_abandoned(folder, key)):
        return False
    claim = Claim(
        holder=os.uname().nodename,
        id=os.urandom(16).hex(),
        kernel=Kernel(boot, 0),
        locked=False,
        sole=True,
        asked="",
        source=seen.claim.source if seen and seen.claim else "",
        doing="removing what an earlier fetch left",
    )
    held = holding.take(folder, key, claim, seen, timing)
    if held is None:
        return False
    with holding.holding(held):
        failed = leftovers.remove(folder, key)
    if failed:
        raise failed[0][1]
    return True


def carry_out(folder: Path, step: Step, *, timing: Timing, boot: str, clock: Clock) -> bool:
    """Remove what `step` names. False where somebody needs it by now.

    :raise OSError: where that is impossible.
    """
    match step.what:
        case "base":
            return base(folder, step.name)
        case "fetch":
            return fetch(folder, step.name, timing=timing, boot=boot, clock=clock)
        case "name":
            return name(folder / step.name)
        case "file":
            leftovers.unlink(folder / step.name)
            return True


def _is_abandoned(folder: Path, key: str) -> bool:
    """Whether nothing of an address has changed for so long that nobody comes back to it."""
    changed = 0.0
    for each in folder.glob(f"fetch-{key}.*"):
        with suppress(FileNotFoundError):
            changed = max(changed, each.lstat().st_mtime)
    return time.time() - changed >= ABANDONED


def _is_free(folder: Path, digest: str) -> bool:
    """Whether no reference is there, at one single moment."""
    try:
        references.folder(folder, digest).rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
