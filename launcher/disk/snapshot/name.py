"""What a snapshot may be called. Pure.

qemu-img takes a snapshot's name or its number and tries both, so a name must not be a number; and
it is a word on command lines and in file names of those who script it.
"""

import re
import time
from collections.abc import Callable

LONGEST = 63

# What we name ourselves begins so; users' own do not.
OWN = "."
BEFORE_RESTORE = "before-restore-"


def _drawn() -> str:
    import secrets

    return secrets.token_hex(4)


def problems(name: str) -> list[str]:
    """All that is wrong with `name`, each as a clause; nothing if it may be used."""
    found = []
    if not name:
        return ["it is empty"]
    if len(name) > LONGEST:
        found.append(f"it has {len(name)} characters, and {LONGEST} are accepted")
    if strange := sorted(set(re.findall(r"[^A-Za-z0-9._-]", name))):
        shown = " ".join(repr(each) for each in strange)
        found.append(f"it has {shown}; letters, digits, . _ and - are accepted")
    if name[0] in "._-":
        found.append("it does not begin with a letter or a digit")
    if name.isdecimal():
        found.append("it is a number, by which qemu-img would look for another one")
    return found


def check(name: str) -> str:
    """`name` itself.

    :raise ValueError: with all that is wrong with it.
    """
    if found := problems(name):
        raise ValueError(f"{name!r} is no name for a snapshot: {'; '.join(found)}")
    return name


def before_restore(now: float) -> str:
    """What the state that a restore replaces is kept as; `now` in seconds since the epoch."""
    return BEFORE_RESTORE + _stamp(now)


def of_export(now: float, draw: Callable[[], str] = _drawn) -> str:
    """The snapshot that a running pet is exported from, which goes with the end of the export.

    :param draw: makes what tells it from those of other exports within the same second.
    """
    return f"{OWN}export-{_stamp(now)}-{draw()}"


def is_of_export(name: str) -> bool:
    return name.startswith(f"{OWN}export-")


def _stamp(now: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
