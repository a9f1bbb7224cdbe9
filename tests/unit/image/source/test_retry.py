"""How long to wait before asking again."""

import pytest

from launcher.image.source import retry

# 2026-11-21 16:00:00 UTC.
NOW = 1795276800.0


def test_the_pause_doubles_up_to_a_limit() -> None:
    assert [retry.pause(each, 1.0) for each in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]


def test_the_pause_is_all_by_lot() -> None:
    """From nothing at all: else those that failed together come back together."""
    assert [retry.pause(5, each) for each in (0.0, 0.25, 1.0)] == [0, 4, 16]


def test_what_the_server_asks_for_comes_first() -> None:
    """All were told the same, so the lot counts on top of it."""
    assert retry.pause(2, 0.5, 10) == 11
    assert retry.pause(1, 0.0, 10) == 10
    assert retry.pause(1, 0.0, 86400) == retry.MOST_ASKED == 120


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("Sat, 21 Nov 2026 16:01:30 GMT", 90),
        ("Saturday, 21-Nov-26 16:01:30 GMT", 90),
        ("Sat Nov 21 16:01:30 2026", 90),
        ("Sat, 21 Nov 2026 15:00:00 GMT", 0),
        ("", 0),
        ("soon", 0),
        ("-5", 0),
        ("1.5", 0),
        ("Sat, 21 Nov 99999 16:01:30 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float) -> None:
    assert retry.retry_after(header, NOW) == seconds


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 599])
def test_not_now(status: int) -> None:
    assert retry.is_not_now(status)


@pytest.mark.parametrize("status", [200, 206, 400, 403, 404, 407, 410, 416, 501, 505])
def test_never(status: int) -> None:
    assert not retry.is_not_now(status)
