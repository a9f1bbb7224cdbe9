"""A file that a server sends in ranges, and the ways in which that goes wrong."""

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tests.storage.ensuring import PATIENCE
from tests.storage.http_server import Reply, Request

OLD = "Wed, 01 Jan 2025 00:00:00 GMT"


@dataclass(slots=True)
class Ranged:
    """`body`, of which each request gets what it asks for, if it still is what If-Range says.

    `etag` and `modified`: its validators. `spoil`: makes something else of an answer to a request
    for the bytes from the first number up to and without the second. `asked`: what was asked for.
    """

    body: bytes
    etag: str | None = '"one"'
    modified: str | None = None
    spoil: Callable[[Reply, int, int], Reply] = lambda reply, first, end: reply
    asked: list[tuple[int, int] | None] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        headers = {"Accept-Ranges": "bytes"}
        if self.etag:
            headers["ETag"] = self.etag
        if self.modified:
            headers["Last-Modified"] = self.modified
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if not match:
            self.asked.append(None)
            return Reply(self.body, headers=headers)
        first, end = int(match[1]), min(int(match[2]) + 1, len(self.body))
        self.asked.append((first, end))
        if request.headers.get("If-Range", self.etag) not in (self.etag, self.modified):
            return Reply(self.body, headers=headers)
        if first >= end:
            headers["Content-Range"] = f"bytes */{len(self.body)}"
            return Reply(status=416, headers=headers)
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(self.body)}"
        return self.spoil(Reply(self.body[first:end], 206, headers), first, end)


def with_headers(reply: Reply, **headers: str) -> Reply:
    """`reply` with other headers; `_` stands for the hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(reply, headers={**reply.headers, **named})


@dataclass(slots=True)
class Times:
    """Does `what` to the first `count` answers that `fits`, and nothing to the others."""

    count: int
    what: Callable[[Reply], Reply]
    fits: Callable[[int, int], bool] = lambda first, end: True

    def __call__(self, reply: Reply, first: int, end: int) -> Reply:
        if not self.count or not self.fits(first, end):
            return reply
        self.count -= 1
        return self.what(reply)


class Together:
    """Holds the first `count` answers that `fits` until all of them are under way, and then for
    half a second, or until there is one more.

    `came`: whether there ever were so many. `is_joined`: whether one more came meanwhile.
    """

    def __init__(
        self, count: int, fits: Callable[[int, int], bool] = lambda first, end: True
    ) -> None:
        self._count = count
        self._fits = fits
        self._asked = 0
        self._all = threading.Barrier(count, timeout=PATIENCE)
        self._one_more = threading.Barrier(count + 1, timeout=PATIENCE)
        self.came = False
        self.is_joined = False

    def __call__(self, reply: Reply, first: int, end: int) -> Reply:
        if not self._fits(first, end):
            return reply
        self._asked += 1
        if self._asked > self._count + 1:
            return reply
        return replace(reply, wait=self._wait if self._asked <= self._count else self._join)

    def _wait(self) -> None:
        self._all.wait()
        self.came = True
        self._join(0.5)

    def _join(self, seconds: float | None = None) -> None:
        # The first of them that has waited enough lets all others go, and whoever comes later.
        with suppress(threading.BrokenBarrierError):
            self._one_more.wait(seconds)
            self.is_joined = True
