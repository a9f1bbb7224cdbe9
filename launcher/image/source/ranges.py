"""HTTP's range requests: what is asked for, and whether an answer fits (RFC 9110, section 14).

Parts may only be put together when they are parts of the same bytes. A validator says so: a strong
ETag, or a Last-Modified that is old enough to be one.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

# A file may change twice within a second, and clocks of a cluster differ (RFC 7232, section 2.2.2).
SETTLED = 60.0

CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


class Span(NamedTuple):
    """The bytes from `first` up to and without `end`."""

    first: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.first

    @property
    def header(self) -> str:
        """As the header `Range` has it."""
        return f"bytes={self.first}-{self.end - 1}"


class Pinned(NamedTuple):
    """Bytes that stay the same: how many, and the validator that says that they do.

    `validator` is as the header `If-Range` has it: an ETag with its quotes, or a date.
    """

    length: int
    validator: str


def content_range(text: str) -> tuple[Span, int] | None:
    """What `Content-Range` says: which bytes came, of how many; None where it does not say."""
    match = CONTENT_RANGE.fullmatch(text.strip())
    if not match:
        return None
    first, last, length = map(int, match.groups())
    return (Span(first, last + 1), length) if first <= last < length else None


def validator(headers: Mapping[str, str]) -> str:
    """The strong validator of an answer, empty if it has none."""
    etag = headers.get("ETag", "").strip()
    if etag:
        # A weak one says that Last-Modified is not to be trusted either.
        return etag if STRONG_ETAG.fullmatch(etag) else ""
    modified, date = _time(headers.get("Last-Modified")), _time(headers.get("Date"))
    if modified is None or date is None or date - modified < SETTLED:
        return ""
    return headers["Last-Modified"].strip()


def pinned(headers: Mapping[str, str], asked: Span) -> Pinned | None:
    """What a 206 to a request for the bytes `asked` pins, None if that is nothing."""
    came = content_range(headers.get("Content-Range", ""))
    found = validator(headers)
    if came is None or not found:
        return None
    span, length = came
    fits = span == Span(asked.first, min(asked.end, length))
    return Pinned(length, found) if fits else None


def difference(headers: Mapping[str, str], known: Pinned) -> str:
    """What in a 206 to a request with If-Range contradicts `known`; empty if nothing.

    Such an answer repeats the ETag, but need not repeat Last-Modified (RFC 9110, section 15.3.7).
    """
    if known.validator.startswith('"'):
        if headers.get("ETag", "").strip() != known.validator:
            return "its ETag is another one"
    elif headers.get("Last-Modified", known.validator).strip() != known.validator:
        return "its Last-Modified is another one"
    came = content_range(headers.get("Content-Range", ""))
    if came is not None and came[1] != known.length:
        return f"it has {came[1]} bytes and had {known.length}"
    return ""


def _time(text: str | None) -> float | None:
    """Seconds since 1970, of an HTTP date."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
