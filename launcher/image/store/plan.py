"""What pruning would remove from the shared volume, and what it would keep, each with why. Pure."""

from typing import Literal, NamedTuple

from launcher.image.progress import duration, size
from launcher.image.store.inventory import Fetch, Inventory, Leftover, Stored

# Seconds. A pod that starts may be about to make its pet on a base that it has just fetched. It
# would fetch it once more, so nothing is lost but time.
YOUNG = 3600.0

# What the next fetch of the address may go on with; what a holder that is silent may wake up to.
ABANDONED = 24 * 3600.0

What = Literal["base", "fetch", "file", "name"]


class Step(NamedTuple):
    """`what` is removed, or kept: a base by its digest, the files of a fetch by its key, a single
    file or a name by that. `size`: bytes that it has. `why`: a clause."""

    what: What
    name: str
    size: int
    why: str
    remove: bool


def plan(inventory: Inventory, now: float, *, young: float = YOUNG) -> tuple[Step, ...]:
    """Decide about everything that is there.

    :param now: seconds since the epoch, as the volume's files have it.
    :param young: seconds for which a base is kept though no pet needs it.
    """
    return (
        *(_base(each, now, young) for each in inventory.bases),
        *(_fetch(each, now) for each in inventory.fetches),
        *(_leftover(each, now) for each in inventory.leftovers),
        *(Step("name", each, 0, "its base is gone", True) for each in inventory.dangling),
    )


def _base(base: Stored, now: float, young: float) -> Step:
    age = now - base.changed
    if base.pets:
        names = ", ".join(each.name for each in base.pets[:3])
        more = f" and {len(base.pets) - 3} more" if len(base.pets) > 3 else ""
        why, remove = f"{names}{more} stand{'' if len(base.pets) > 1 else 's'} on it", False
    elif age < young:
        why, remove = f"it came only {duration(max(0, age))} ago", False
    else:
        why, remove = "no pet stands on it", True
    return Step("base", base.digest, base.size or 0, why, remove)


def _fetch(fetch: Fetch, now: float) -> Step:
    age = max(0, now - fetch.changed)
    holder = fetch.claim.holder if fetch.claim else "somebody"
    remove = age >= ABANDONED
    match fetch.state:
        case "alive":
            why, remove = f"{holder} is at work", False
        case "dead":
            why = f"{holder} died at it"
            is_last = fetch.claim is not None and fetch.claim.sole
            remove = remove or (is_last and not fetch.can_be_continued)
        case "silent":
            why = f"{holder} has shown no sign of life for {duration(age)}"
        case _:
            why = f"nobody has gone on with it for {duration(age)}"
    return Step("fetch", fetch.key, fetch.size, why, remove)


def _leftover(file: Leftover, now: float) -> Step:
    age = now - file.changed
    why = f"nobody has written to it for {duration(max(0, age))}"
    return Step("file", file.name, file.size, why, age >= ABANDONED)


def total(steps: tuple[Step, ...]) -> str:
    """`3 bases and 2 other things, 1.2 GiB`, of what is removed."""
    gone = [each for each in steps if each.remove]
    bases = sum(each.what == "base" for each in gone)
    others = len(gone) - bases
    words = [f"{bases} base{'' if bases == 1 else 's'}"]
    if others:
        words.append(f"{others} other thing{'' if others == 1 else 's'}")
    return f"{' and '.join(words)}, {size(sum(each.size for each in gone))}"
