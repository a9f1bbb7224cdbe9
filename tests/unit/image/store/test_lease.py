"""What a lease file holds, and when its holder counts as dead."""

import pytest

from launcher.image.store import lease
from launcher.image.store.lease import SIZE, Claim, Kernel, Lock, Timing, Watch
from launcher.settings.parse import Checksum

HERE = Kernel("boot-1", 40)
CLAIM = Claim(
    holder="web-0",
    id="0" * 32,
    kernel=HERE,
    locked=True,
    sole=True,
    asked="f" * 64,
    source="https://example.org/disk.qcow2",
    beats=3,
    doing="downloaded 1.0 MiB of 2.0 MiB (50 %), 1.0 MiB/s, 1 s left",
)
TIMING = Timing(beat=2, patience=30, poll=0.5)


def test_a_record_is_read_as_it_was_written() -> None:
    ended = CLAIM._replace(outcome="refused", message="it is “odd”", hint='say "no"')
    for claim in (CLAIM, ended):
        assert Claim.from_bytes(claim.to_bytes()) == claim
        assert len(claim.to_bytes()) == SIZE


@pytest.mark.parametrize("text", ['"' * 9999, "\\" * 9999, "€" * 9999, "\n\0" * 9999, "\udcff" * 9])
def test_a_record_is_never_longer_than_its_file(text: str) -> None:
    claim = CLAIM._replace(holder=text, source=text, doing=text, message=text, hint=text)
    data = claim.to_bytes()
    assert len(data) == SIZE
    read = Claim.from_bytes(data)
    assert read
    assert (read.id, read.beats) == (CLAIM.id, CLAIM.beats)
    assert "\n" not in read.message


def test_half_a_record_is_none() -> None:
    """Each page of a file may be read old or new while it is written."""
    old, new = CLAIM.to_bytes(), CLAIM._replace(beats=4, doing="checking").to_bytes()
    for cut in (0, 1, 20, 100, 300, SIZE - 1):
        assert Claim.from_bytes(new[:cut] + old[cut:]) in (
            None,
            CLAIM,
            CLAIM._replace(beats=4, doing="checking"),
        )
    assert Claim.from_bytes(new[:100] + old[100:]) is None
    for data in (b"", b"\0" * SIZE, b"00000000 {}", b"x", old.replace(b"web-0", b"web-1")):
        assert Claim.from_bytes(data) is None


Look = tuple[float, Claim | None, Lock]


def states(*looks: Look, here: Kernel = HERE, timing: Timing = TIMING) -> list[str]:
    watch = Watch(timing)
    return [watch.see(claim, lock, here, now) for now, claim, lock in looks]


def test_one_that_has_its_lock_lives_however_still_it_is() -> None:
    looks: list[Look] = [(now * 0.5, CLAIM, "held") for now in range(500)]
    assert set(states(*looks)) == {"alive"}


def test_one_without_its_lock_is_dead_at_once() -> None:
    assert states((0, CLAIM, "free")) == ["dead"]


@pytest.mark.parametrize(
    ("claim", "here"),
    [
        pytest.param(CLAIM, Kernel("boot-2", 40), id="another kernel"),
        pytest.param(CLAIM, Kernel("boot-1", 41), id="another mount, as each FUSE pod has its own"),
        pytest.param(CLAIM._replace(locked=False), HERE, id="it got no lock"),
        pytest.param(None, HERE, id="its record is not whole"),
    ],
)
@pytest.mark.parametrize("lock", ["free", "unknown", "held"])
def test_where_the_lock_tells_nothing_time_does(
    claim: Claim | None, here: Kernel, lock: Lock
) -> None:
    looks: list[Look] = [(now * 0.5, claim, lock) for now in range(100)]
    found = states(*looks, here=here)
    assert found.index("silent") == 60
    assert set(found[:60]) == {"alive"}


def test_a_sign_of_life_begins_the_time_anew() -> None:
    looks: list[Look] = [
        (now * 0.5, CLAIM._replace(beats=0 if now < 59 else 1), "unknown") for now in range(119)
    ]
    assert set(states(*looks)) == {"alive"}


def test_a_torn_record_is_no_sign_of_life() -> None:
    looks: list[Look] = [(now * 0.5, None if now % 2 else CLAIM, "unknown") for now in range(100)]
    assert states(*looks).index("silent") == 60


def test_a_follower_that_slept_says_nothing_of_the_holder() -> None:
    """Nor does a volume that hung for both of them."""
    assert states((0, CLAIM, "unknown"), (3600, CLAIM, "unknown")) == ["alive", "alive"]
    late: list[Look] = [(now * 600.0, CLAIM, "unknown") for now in range(20)]
    assert states(*late).index("silent") == 15, "two seconds are counted for each"


def test_an_outcome_counts_whatever_the_lock() -> None:
    ended = CLAIM._replace(outcome="stopped")
    for lock in ("held", "free", "unknown"):
        assert states((0, ended, lock)) == ["ended"]


def test_the_key_stands_for_the_whole_address() -> None:
    one, other = (lease.key(f"https://example.org/disk?sig={number}") for number in (1, 2))
    assert one != other
    assert lease.NAME.fullmatch(f"fetch-{one}.lease-1")


def test_who_asks_for_the_same() -> None:
    first = lease.asked("https://a/b", None, "b")
    assert first == lease.asked("https://a/b", None, "b")
    for differing in (
        lease.asked("https://a/c", None, "b"),
        lease.asked("https://a/b", Checksum("sha256", "0" * 64), "b"),
        lease.asked("https://a/b", None, "c"),
    ):
        assert differing != first
