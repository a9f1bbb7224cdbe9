"""What somebody found who read a base to its end: its bytes are not what they were.

::

    sha256-<hex>.altered   one JSON object, beside the base and its record

Size and time of change do not tell of somebody who put them back; this does, to all who start
afterwards. It is about one file, known by the time at which that was put in place: the same base,
removed and fetched anew, is none of its business.

On the way of every start: one name that hardly ever is there.
"""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from launcher.host.durable import sync_names
from launcher.host.timestamp import rfc3339
from launcher.image import temporary
from launcher.image.store.record import Record

STORED = re.compile(r"sha256-([0-9a-f]{64})\.altered")


class Finding(NamedTuple):
    """`why`: what differs, a clause. `host`: of the pod that found it. `found`: RFC 3339.
    `mtime_ns`: of the base's file, as its record has it."""

    why: str
    host: str
    found: str
    mtime_ns: int

    @classmethod
    def now(cls, why: str, known: Record) -> "Finding":
        return cls(why, os.uname().nodename, rfc3339(), known.mtime_ns)

    def __str__(self) -> str:
        return f"{self.why}, as {self.host} found at {self.found}"


def path(folder: Path, digest: str) -> Path:
    return folder / f"sha256-{digest}.altered"


def read(folder: Path, digest: str, known: Record) -> Finding | None:
    """What was found of the base that `known` is the record of. What cannot be understood counts:
    it was written for a reason.

    :raise OSError: where it is there and cannot be read.
    """
    try:
        whole = json.loads(path(folder, digest).read_text(encoding="utf-8"))
        found = Finding(
            str(whole["why"]), str(whole["host"]), str(whole["found"]), int(whole["mtime_ns"])
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return Finding("its bytes differ", "somebody", "a time that is not known", known.mtime_ns)
    return found if found.mtime_ns == known.mtime_ns else None


def write(folder: Path, digest: str, found: Finding) -> None:
    """Write it down for all who start from now on; it survives a power cut.

    :raise OSError: where that is impossible.
    """
    text = json.dumps(found._asdict(), indent=2, ensure_ascii=False) + "\n"
    temporary.write(path(folder, digest), text)
    sync_names(folder)


def remove(folder: Path, digest: str) -> None:
    """Remove it, if it is there.

    :raise OSError: where that is impossible.
    """
    path(folder, digest).unlink(missing_ok=True)
