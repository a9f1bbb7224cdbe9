"""Whether an answer has the part that was asked for, of the file that the others are of."""

import requests

from launcher.image.source import ranges
from launcher.image.source.ranges import Pinned, Span
from launcher.image.source.request import Client
from launcher.image.source.retry import Anew


def check_part(client: Client, answer: requests.Response, asked: Span, known: Pinned) -> None:
    """Refuse what does not belong together.

    :raise Anew: when the file is another one by now, or the server answers something else.
    :raise SourceUnavailable: when it does not answer with a file at all.
    :raise ImageRefused: for a Content-Encoding.
    """
    if answer.status_code in (200, 416):
        raise _changed(client, "it is no longer what the first part was of")
    if answer.status_code != 206:
        raise client.refusal(answer)
    client.check_encoding(answer)
    if difference := ranges.difference(answer.headers, known):
        raise _changed(client, difference)
    came = ranges.content_range(answer.headers.get("Content-Range", ""))
    if came is None or came[0] != asked:
        raise Anew(
            f"{client.shown_with(answer)} sent other bytes than were asked for",
            hint="its server does not know range requests well",
            is_one_stream=True,
        )


def _changed(client: Client, how: str) -> Anew:
    return Anew(
        f"{client.shown} changed while it was fetched: {how}",
        hint="something still writes to it, or several servers differ; try again later",
    )
