"""What pruning removes and keeps, decided from what is there."""

from pathlib import Path

import pytest

from launcher.image.store.inventory import Fetch, Inventory, Leftover, Stored
from launcher.image.store.lease import Claim, Kernel, State
from launcher.image.store.plan import ABANDONED, YOUNG, Step, plan, total
from launcher.image.store.references import Reference

NOW = 1e9
DIGEST = "0" * 64
PET = Reference(DIGEST, "uuid", "web-0")
OLD = Stored(DIGEST, 1000, None, (), (), NOW - YOUNG)
CLAIM = Claim("web-0", "1", Kernel("b", 1), True, True, "", "source")


EMPTY = Inventory(Path("/shared"), (), (), (), ())


def only(inventory: Inventory, young: float = YOUNG) -> Step:
    (step,) = plan(inventory, NOW, young=young)
    return step


def base(stored: Stored, young: float = YOUNG) -> Step:
    return only(EMPTY._replace(bases=(stored,)), young)


def test_a_base_that_no_pet_needs_goes() -> None:
    assert base(OLD) == Step("base", DIGEST, 1000, "no pet stands on it", True)


@pytest.mark.parametrize(
    ("pets", "why"),
    [
        (1, "web-0 stands on it"),
        (2, "web-0, web-0 stand on it"),
        (5, "web-0, web-0, web-0 and 2 more stand on it"),
    ],
)
def test_a_base_that_a_pet_needs_stays(pets: int, why: str) -> None:
    for young in (YOUNG, 0.0):
        step = base(OLD._replace(pets=(PET,) * pets), young)
        assert (step.remove, step.why) == (False, why)


def test_a_base_that_has_just_come_stays_unless_told() -> None:
    new = OLD._replace(changed=NOW - YOUNG + 1)
    assert base(new) == Step("base", DIGEST, 1000, "it came only 59 min 59 s ago", False)
    assert base(new, 0.0).remove
    ahead = OLD._replace(changed=NOW + 5)
    assert base(ahead).why == "it came only 0 s ago"


def test_a_base_that_is_altered_goes_only_where_no_pet_needs_it() -> None:
    altered = OLD._replace(problem="its sha256 is another")
    assert base(altered).remove
    assert not base(altered._replace(pets=(PET,))).remove


def test_what_is_left_of_a_base_that_is_gone() -> None:
    assert base(OLD._replace(size=None)) == Step("base", DIGEST, 0, "no pet stands on it", True)
    assert only(EMPTY._replace(dangling=("disk.qcow2",))) == Step(
        "name", "disk.qcow2", 0, "its base is gone", True
    )


@pytest.mark.parametrize(
    ("state", "age", "remove", "why"),
    [
        ("alive", ABANDONED, False, "web-0 is at work"),
        ("dead", 1, True, "web-0 died at it"),
        ("silent", 40, False, "web-0 has shown no sign of life for 40 s"),
        ("silent", ABANDONED, True, "web-0 has shown no sign of life for 24 h 0 min"),
        ("ended", 60, False, "nobody has gone on with it for 1 min 0 s"),
        ("ended", ABANDONED, True, "nobody has gone on with it for 24 h 0 min"),
        (None, ABANDONED - 60, False, "nobody has gone on with it for 23 h 59 min"),
        (None, ABANDONED, True, "nobody has gone on with it for 24 h 0 min"),
    ],
)
def test_fetches(state: State | None, age: float, remove: bool, why: str) -> None:
    claim = CLAIM if state else None
    fetch = Fetch("key", ("fetch-key.part",), 77, NOW - age, claim, state)
    assert only(EMPTY._replace(fetches=(fetch,))) == Step("fetch", "key", 77, why, remove)


@pytest.mark.parametrize(("age", "remove"), [(ABANDONED - 1, False), (ABANDONED, True)])
def test_what_a_dead_fetch_left_can_be_gone_on_with(age: float, remove: bool) -> None:
    """By a pod that starts again and again, with longer and longer pauses."""
    files = ("fetch-key.json", "fetch-key.lease-1", "fetch-key.part")
    fetch = Fetch("key", files, 77, NOW - age, CLAIM, "dead")
    assert only(EMPTY._replace(fetches=(fetch,))).remove == remove


def test_one_that_died_after_one_that_may_wake_up() -> None:
    fetch = Fetch("key", ("fetch-key.lease-2",), 77, NOW - 1, CLAIM._replace(sole=False), "dead")
    assert not only(EMPTY._replace(fetches=(fetch,))).remove


@pytest.mark.parametrize(("age", "remove"), [(ABANDONED - 1, False), (ABANDONED, True)])
def test_files_of_nobody(age: float, remove: bool) -> None:
    step = only(EMPTY._replace(leftovers=(Leftover("disk.abcdefgh.part", 5, NOW - age),)))
    assert (step.what, step.name, step.remove) == ("file", "disk.abcdefgh.part", remove)


def test_what_is_freed() -> None:
    steps = plan(
        Inventory(
            Path("/shared"),
            (OLD, OLD._replace(pets=(PET,))),
            (),
            (Leftover("a.part", 24, 0),),
            (),
        ),
        NOW,
    )
    assert total(steps) == "1 base and 1 other thing, 1.0 KiB"
    assert total(()) == "0 bases, 0 bytes"
