"""What `berth images` shows, for people and for machines."""

import time
from typing import Any

from launcher.image.progress import duration, size
from launcher.image.store.inventory import Fetch, Inventory, Stored
from launcher.image.store.references import Reference


def data(found: Inventory) -> dict[str, Any]:
    """For machines: what is there, in plain values. Sizes are bytes."""
    return {
        "folder": str(found.folder),
        "bases": [
            {
                "sha256": each.digest,
                "size": each.size,
                "virtual_size": each.virtual_size,
                "problem": each.problem,
                "names": list(each.names),
                "sources": [
                    {"source": origin.address.shown, "fetched": origin.fetched}
                    for origin in (each.record.origins if each.record else ())
                ],
                "pets": [pet._asdict() for pet in each.pets],
            }
            for each in found.bases
        ],
        "fetches": [
            {
                "source": each.claim.source if each.claim else "",
                "holder": each.claim.holder if each.claim else "",
                "state": each.state,
                "doing": each.claim.doing if each.claim else "",
                "failure": each.claim.message if each.claim else "",
                "size": each.size,
                "files": list(each.files),
            }
            for each in found.fetches
        ],
        "leftovers": [{"name": each.name, "size": each.size} for each in found.leftovers],
        "dangling": list(found.dangling),
    }


def text(found: Inventory) -> str:
    lines = []
    for base in found.bases:
        lines += about(base)
    for fetch in found.fetches:
        lines.append(f"fetch of {what_of(fetch)}")
    now = time.time()
    for file in found.leftovers:
        age = duration(max(0.0, now - file.changed))
        lines.append(f"{file.name}: {size(file.size)}, last written to {age} ago")
    lines += [f"{name}: its base is gone" for name in found.dangling]
    return "\n".join(lines or [f"there is no base in {found.folder}"])


def about(base: Stored) -> list[str]:
    lines = [f"sha256-{base.digest}"]
    if base.problem:
        lines.append(f"  NOT TO BE USED: {base.problem}")
    if base.size is not None:
        disk = f", a disk of {size(base.virtual_size)}" if base.virtual_size is not None else ""
        lines.append(f"  size     {size(base.size)}{disk}")
    for each in base.names:
        lines.append(f"  name     {each}")
    for origin in base.record.origins if base.record else ():
        lines.append(f"  source   {origin.address.shown}, fetched {origin.fetched}")
    for pet in base.pets:
        lines.append(f"  pet      {described(pet)}")
    if not base.pets:
        lines.append("  pet      none")
    return lines


def described(pet: Reference) -> str:
    name = f"{pet.namespace}/{pet.name}" if pet.namespace else pet.name
    started = f", last started {pet.last} on {pet.host}" if pet.last else ""
    return f"{name} ({pet.uuid}){started}"


def what_of(fetch: Fetch) -> str:
    much = f"{size(fetch.size)} in {', '.join(fetch.files)}"
    claim = fetch.claim
    if claim is None:
        return f"an address that is not known: nobody is at work; {much}"
    source = claim.source or "an address that is not known"
    match fetch.state:
        case "alive":
            return f"{source}: {claim.holder} is at work: {claim.doing or 'beginning'}"
        case "ended" if claim.outcome == "ready":
            return f"{source}: {claim.holder} fetched it, after one that may wake up; {much}"
        case "ended":
            how = claim.message or claim.outcome
            return f"{source}: {claim.holder} gave up: {how}; {much}"
        case "dead":
            return f"{source}: {claim.holder} died at it; {much}"
        case _:
            return f"{source}: {claim.holder} shows no sign of life; {much}"
