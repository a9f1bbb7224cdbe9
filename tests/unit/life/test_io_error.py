"""What an I/O error is called, and when a VM may go on after it."""

from pathlib import Path

import pytest

from launcher.disk.space import Space
from launcher.life import io_error

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40

FULL = {
    "device": "",
    "node-name": "pet",
    "operation": "write",
    "action": "stop",
    "nospace": True,
    "reason": "No space left on device",
}


def space(free: int, total: int = 4 * GIB, growth: int = GIB) -> Space:
    return Space(Path("/pet/web-3.qcow2"), free, total, growth)


def test_a_disk_that_is_full() -> None:
    error = io_error.of(FULL)
    assert error.is_full
    assert str(error) == "disk pet: write failed: No space left on device (no space left)"


def test_an_empty_drive_has_a_device_only() -> None:
    error = io_error.of({"device": "cd0", "operation": "read", "action": "report"})
    assert not error.is_full
    assert str(error) == "disk cd0: read failed: unknown reason"


def test_what_is_missing_is_told_in_numbers() -> None:
    assert io_error.shortage(space(free=24 * MIB)) == (
        "/pet has 24.0 MiB of 4.0 GiB free, and web-3.qcow2 may still take 1.0 GiB: "
        "up to 1.0 GiB are missing"
    )


def test_nothing_is_missing_where_other_limits_hold() -> None:
    """A quota, say, of which the volume's numbers know nothing."""
    assert io_error.shortage(space(free=2 * GIB)).endswith("may still take 1.0 GiB")


@pytest.mark.parametrize(
    ("total", "more"),
    [(4 * MIB, MIB), (GIB, GIB // 100), (100 * GIB, 64 * MIB), (4 * TIB, 64 * MIB)],
)
def test_it_takes_a_hundredth_more_within_bounds(total: int, more: int) -> None:
    before = space(free=3 * MIB, total=total)
    assert io_error.has_room(before, before._replace(free=3 * MIB + more))
    assert not io_error.has_room(before, before._replace(free=3 * MIB + more - 1))


def test_a_volume_that_grew_has_room() -> None:
    assert io_error.has_room(space(free=0), space(free=GIB, total=5 * GIB))


def test_what_is_not_known_is_no_reason() -> None:
    assert not io_error.has_room(None, space(free=GIB))
    assert not io_error.has_room(space(free=0), None)


def test_pauses_double_to_half_a_minute() -> None:
    assert [io_error.pause(each) for each in (0, 1, 2, 3, 4, 5, 6, 1000)] == [
        1, 2, 4, 8, 16, 30, 30, 30,
    ]  # fmt: skip


def test_outlook() -> None:
    full, other = io_error.of(FULL), io_error.of(FULL | {"nospace": False})
    assert io_error.outlook(full, space(free=0)).endswith(
        "up to 1.0 GiB are missing; the VM is paused, and goes on by itself once 41.0 MiB more is "
        "free"
    )
    for error, known in ((full, None), (other, None)):
        assert io_error.outlook(error, known).endswith("once the storage takes it")
