"""Which headers say of which bytes a part is."""

import pytest

from launcher.image.source.ranges import Pinned, difference, validator

OLD = "Wed, 01 Jan 2025 00:00:00 GMT"
NEWER = "Wed, 01 Jan 2025 00:00:01 GMT"


@pytest.mark.parametrize(
    ("date", "found"),
    [
        ("Wed, 01 Jan 2025 00:00:00 GMT", ""),
        ("Wed, 01 Jan 2025 00:00:59 GMT", ""),
        ("Wed, 01 Jan 2025 00:01:00 GMT", OLD),
        ("Tue, 31 Dec 2024 00:00:00 GMT", ""),
        ("", ""),
    ],
)
def test_a_date_is_a_validator_a_minute_later(date: str, found: str) -> None:
    assert validator({"Last-Modified": OLD, "Date": date}) == found


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Last-Modified": OLD}, ""),
        ({"Last-Modified": f" {OLD} "}, ""),
        ({}, ""),
        ({"Last-Modified": NEWER}, "its Last-Modified is another one"),
        ({"Last-Modified": ""}, "its Last-Modified is another one"),
    ],
)
def test_a_part_may_leave_out_its_date_but_not_have_another(
    headers: dict[str, str], words: str
) -> None:
    assert difference(headers, Pinned(10, OLD)) == words
