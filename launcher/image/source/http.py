"""http(s) sources: by parallel ranges where a server has them and says what they are of, else in
one stream.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import requests

from launcher.host.errors import SourceUnavailable
from launcher.image import space
from launcher.image.progress import duration, size
from launcher.image.source import limit, parts, ranges, retry
from launcher.image.source.anew import chance
from launcher.image.source.credentials import Credentials
from launcher.image.source.download import Download
from launcher.image.source.kept import Files
from launcher.image.source.line import Line
from launcher.image.source.one_stream import OneStream
from launcher.image.source.parts import Board, Listing
from launcher.image.source.ranges import Pinned, Span
from launcher.image.source.request import Client
from launcher.image.source.retry import Again
from launcher.image.source.stream import Stream
from launcher.image.source.terms import Terms

logger = logging.getLogger("startvm")

# How servers, and what stands before them, refuse a Range; 416 is also what an empty file gets.
NO_RANGES = (400, 403, 405, 406, 412, 416, 501)


@contextmanager
def opened(
    url: str, setting: str, terms: Terms, files: Files | None, deadline: float
) -> Iterator[Stream]:
    """Ask for `url` and follow redirects. Connections and threads end with the context.

    :param files: what the bytes may be kept in; None for one stream.
    :param deadline: of `time.monotonic()`.
    :raise SourceUnavailable: see `opened.opened`; also while the chunks are read. `Anew`, where
        beginning once more may help.
    :raise ImageRefused: for a body with a Content-Encoding.
    """
    credentials = Credentials(url, terms.home, terms.headers_file, terms.netrc_file)
    client = Client(url, setting, credentials, terms.stall)
    with Line() as line:
        begun = _begin_in_time(client, line, files, deadline, terms.patience)
        with closing(begun.answer) as answer:
            client.check_encoding(answer)
            length = begun.pinned.length if begun.pinned else answer.raw.length_remaining
            terms.judge(length, client.shown_with(answer))
            if client.is_laid_open(answer):
                shown = client.shown_with(answer)
                logger.warning(
                    "%s: the last part of the way is not encrypted; set IMG_CHECKSUM", shown
                )
            if begun.pinned is None or files is None:
                body = OneStream(client, answer, deadline, terms.patience)
                # Neither a length nor pieces: it ends where the connection does.
                is_open_ended = body.length is None and not answer.raw.chunked
                with limit.ended_at(deadline, line.end):
                    try:
                        yield Stream(
                            body.chunks(),
                            body.length,
                            "downloaded",
                            stop=line.end,
                            is_open_ended=is_open_ended,
                        )
                    finally:
                        # Closing an answer waits for whoever reads it.
                        line.end()
            else:
                with _download(client, begun, begun.pinned, files, deadline, terms) as download:
                    download.start(line, answer)
                    yield Stream(
                        download.chunks(),
                        begun.pinned.length,
                        "downloaded",
                        name=download.name,
                        stop=download.stop,
                        widen=download.widen,
                    )


class Begun(NamedTuple):
    """The first answer that is one. `pinned`: what it is a part of, None if it is everything.

    `listing`: what of that is there already.
    """

    answer: requests.Response
    pinned: Pinned | None = None
    listing: Listing | None = None


def _begin_in_time(
    client: Client, line: Line, files: Files | None, deadline: float, patience: float
) -> Begun:
    """`_begin`, and nothing that the server does makes it last longer than the deadline."""
    begun = None
    with limit.ended_at(deadline, line.end):
        try:
            begun = _begin(client, line, files, deadline)
        except SourceUnavailable:
            if not limit.is_over(deadline):
                raise
    # Headers that end with the connection pass for whole ones (Python's http.client).
    if begun is None or limit.is_over(deadline):
        if begun is not None:
            begun.answer.close()
        came, kept = "no answer came", "what came before is kept"
        raise limit.too_late(client.shown, patience, came, kept)
    return begun


def _begin(client: Client, line: Line, files: Files | None, deadline: float) -> Begun:
    """:raise SourceUnavailable: when the server has not what was asked for."""
    if files is not None:
        begun = _resume(client, line, files, deadline) or _ranged(client, line, deadline)
        if begun is not None:
            return begun
    answer = _answer(client, line, None, deadline)
    if answer.status_code == 200:
        return Begun(answer)
    with closing(answer):
        raise client.refusal(answer)


def _resume(client: Client, line: Line, files: Files, deadline: float) -> Begun | None:
    """Go on with what is there, if the server still has the same."""
    listing = files.read()
    if listing is None:
        return None
    board = Board(listing.pinned.length, listing.part_size, listing.done)
    index = board.take()
    # With all of it there, a byte is enough to know that it still is what the server has.
    end = listing.pinned.length
    span = Span(end - 1, end) if index is None else board.missing(index)
    answer = _answer(client, line, span, deadline)
    if answer.status_code == 206 and ranges.pinned(answer.headers, span) == listing.pinned:
        return Begun(answer, listing.pinned, listing)
    answer.close()
    # What says nothing of the file leaves the parts to a later try.
    if answer.status_code in (200, 206, 416):
        logger.info("%s changed since an earlier try, which is of no use now", client.shown)
    return None


def _ranged(client: Client, line: Line, deadline: float) -> Begun | None:
    """Ask for the first part; None if it is better to ask for everything."""
    span = Span(0, parts.PART)
    answer = _answer(client, line, span, deadline)
    if answer.status_code == 200:
        return Begun(answer)
    if answer.status_code == 206 and (pinned := ranges.pinned(answer.headers, span)):
        return Begun(answer, pinned)
    with closing(answer):
        is_range = ranges.content_range(answer.headers.get("Content-Range", "")) is not None
        if answer.status_code in NO_RANGES or is_range:
            return None
        raise client.refusal(answer)


def _answer(client: Client, line: Line, span: Span | None, deadline: float) -> requests.Response:
    """The first answer that is not "not now"."""
    for number in range(1, retry.TRIES + 1):
        try:
            return client.ask(line, span)
        except Again as err:
            pause = retry.pause(number, chance(), err.asked)
            is_last = number == retry.TRIES or time.monotonic() + pause > deadline
            if is_last and err.error is not None:
                raise err.error from None
            shown, text = client.shown, duration(pause)
            logger.warning("%s: %s; trying again in %s", shown, err.why, text)
            time.sleep(pause)
    raise AssertionError("the last round returns or raises")


@contextmanager
def _download(
    client: Client, begun: Begun, pinned: Pinned, files: Files, deadline: float, terms: Terms
) -> Iterator[Download]:
    listing = begun.listing
    board = Board(pinned.length, parts.PART, listing.done if listing else ())
    space.require(files.folder, pinned.length - board.received)
    if listing:
        here, of = size(board.received), size(pinned.length)
        logger.info("%s: %s of %s are here from an earlier try", client.shown, here, of)
    fd = files.resume(listing) if listing else files.begin(pinned)
    with Download(client, pinned, files, fd, board, deadline, terms.patience) as download:
        yield download
