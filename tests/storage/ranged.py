"""A file that a server sends in ranges, and the ways in which that goes wrong."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
