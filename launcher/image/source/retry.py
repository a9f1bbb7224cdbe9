"""When to ask again: back-off with full jitter, so that a thousand pods do not come back as one."""

from launcher.host.errors import SourceUnavailable

# Requests in a row without one byte, after which it is said that there is no use.
TRIES = 5

# How often all of it is fetched: what changes each time will not stop doing so.
ROUNDS = 3

# Seconds: the most before the second try, and the most before any.
FIRST = 1.0
MOST = 30.0
# The most that a server may ask for.
MOST_ASKED = 120.0

# Answers of the kind "the server has a problem" that say "never": not implemented, not this HTTP.
NEVER = (501, 505)


class Again(Exception):
    """A request that failed in a way that the next one may not.

    `why`: a clause for people. `error`: what to say if there never was another answer. `asked`:
    seconds that the server wants to be left alone for, 0 if it did not say.
    """

    def __init__(
        self, why: str, error: SourceUnavailable | None = None, asked: float = 0.0
    ) -> None:
        super().__init__(why)
        self.why = why
        self.error = error
        self.asked = asked


class Anew(SourceUnavailable):
    """What came so far is of no use; all of it once more may be.

    `is_one_stream`: this server had better not be asked for ranges.
    """

    def __init__(self, message: str, *, hint: str = "", is_one_stream: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_one_stream = is_one_stream


def is_not_now(status: int) -> bool:
    """Whether an answer says that the next one may be another."""
    return status in (408, 429) or (status >= 500 and status not in NEVER)


def pause(failures: int, chance: float, asked: float = 0.0) -> float:
    """Seconds to wait after so many failures in a row.

    :param chance: from 0 to 1, by lot.
    :param asked: what the server asked for.
    """
    most = min(MOST, FIRST * 2.0 ** (failures - 1))
    return min(asked, MOST_ASKED) + most * chance


def retry_after(header: str, now: float) -> float:
    """Seconds that `Retry-After` asks for; it has a number or a date (RFC 9110, section 10.2.3).

    :param now: seconds since 1970.
    """
    from email.utils import parsedate_to_datetime

    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
