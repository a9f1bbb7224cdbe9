"""Moments as records and messages have them."""

import time


def rfc3339(seconds: float | None = None) -> str:
    """A moment in UTC, whole seconds: `seconds` since the epoch, or now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
