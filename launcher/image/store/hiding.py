"""Bases that somebody is about to remove: they have another name until it is certain.

::

    sha256-<hex>.qcow2.<random>.pruned    a base that nobody finds for the moment
    sha256-<hex>.json.<random>.pruned     its record

A prune that dies leaves them so. A start puts them back once they cannot be those of one that
lives; should it live all the same, it takes that for somebody who needs the base.
"""

import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from launcher.image.store import naming
from launcher.image.wanted import STORED

logger = logging.getLogger("startvm")

# Seconds. A prune hides a base for milliseconds.
DEAD = 60.0

HIDDEN = re.compile(r"(sha256-[0-9a-f]{64}\.(qcow2|json))\.[0-9a-f]{16}\.pruned")


def draw() -> str:
    """What one prune appends to the names of what it hides."""
    return f".{os.urandom(8).hex()}.pruned"


def recover(folder: Path, *, dead: float = DEAD) -> None:
    """Put back what a prune that died has hidden. On the way of every start.

    :param dead: seconds after which it counts as such.
    """
    try:
        hidden = [each for each in os.scandir(folder) if each.name.endswith(".pruned")]
    except OSError:
        return  # whoever needs the volume will say so
    # Bases before their records: a record without a base is nothing, and goes.
    for entry in sorted(hidden, key=lambda each: ".json." in each.name):
        match = HIDDEN.fullmatch(entry.name)
        if not match:
            continue
        aside, path = Path(entry.path), folder / match[1]
        try:
            # Renaming counts as a change, not of what is in the file.
            if time.time() - aside.lstat().st_ctime < dead:
                continue
            if match[2] == "qcow2" or path.with_suffix(".qcow2").exists():
                logger.info("putting back %s, which was about to be removed", path.name)
                put_back(aside, path)
            else:
                aside.unlink(missing_ok=True)
        except OSError as err:
            logger.warning("%s cannot be put back: %s", path, err.strerror or err)


def put_back(aside: Path, path: Path) -> None:
    """Give the file its name again, unless there is a new one of that name."""
    try:
        os.link(aside, path, follow_symlinks=False)
    except FileNotFoundError:
        return  # somebody else did
    except OSError:
        # There is one; or there are no hard links (SMB, FUSE).
        with suppress(FileNotFoundError):
            if STORED.fullmatch(path.name):
                naming.rename(aside, path)
            elif not os.path.lexists(path):
                aside.rename(path)
    aside.unlink(missing_ok=True)
