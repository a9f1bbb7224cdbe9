"""The body of one answer, for servers that cannot be asked for parts."""

from collections.abc import Iterator

import requests
import urllib3

from launcher.host.errors import SourceUnavailable
from launcher.image.progress import size
from launcher.image.source import limit
from launcher.image.source.request import Client
from launcher.image.source.retry import Anew
from launcher.image.source.stream import CHUNK


class OneStream:
    """What `answer` has, in order. `length`: how many bytes it promises, None if it does not say.

    :param deadline: of `time.monotonic()`, when the connection is ended by somebody; `patience` is
        how long that was, in seconds.
    """

    def __init__(
        self, client: Client, answer: requests.Response, deadline: float, patience: float
    ) -> None:
        self.length = answer.raw.length_remaining
        self._client = client
        self._answer = answer
        self._deadline = deadline
        self._patience = patience
        self._received = 0

    def chunks(self) -> Iterator[bytes]:
        """All of it; each but the last has `CHUNK` bytes.

        :raise Anew: when it ends too soon.
        :raise SourceUnavailable: when the time is over.
        """
        while True:
            chunk = bytearray()
            while len(chunk) < CHUNK and (data := self._read(CHUNK - len(chunk))):
                chunk += data
            if chunk:
                yield bytes(chunk)
            if len(chunk) < CHUNK:
                break
        if self.length is not None and self._received != self.length:
            raise self._ended("")

    def _read(self, most: int) -> bytes:
        """What is there: waiting for more would hide how much it is when the time is over."""
        data, why = b"", ""
        try:
            data = self._answer.raw.read1(most, decode_content=False)
        except (urllib3.exceptions.HTTPError, OSError) as err:
            why, _ = self._client.explain(err)
        self._received += len(data)
        # A connection that was ended for that looks like one that the server closed.
        if self._received != self.length and limit.is_over(self._deadline):
            raise self._too_late()
        if why:
            raise self._ended(f": {why}")
        return data

    def _ended(self, why: str) -> Anew:
        of = "" if self.length is None else f" of {self.length}"
        return Anew(
            f"{self._client.shown_with(self._answer)}: the transfer ended after "
            f"{self._received}{of} bytes{why}",
            hint="try again; nothing was kept",
        )

    def _too_late(self) -> SourceUnavailable:
        came = f"{size(self._received)} came"
        kept = "the server can send it in one piece only, so nothing was kept"
        return limit.too_late(self._client.shown, self._patience, came, kept)
