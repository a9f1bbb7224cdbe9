"""One request: redirects followed, secrets kept at home, every failure said in a sentence."""

import logging
import time
from pathlib import PurePosixPath
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from launcher.host.errors import ImageRefused, SourceUnavailable
from launcher.image.source import authorities, failure, retry
from launcher.image.source.credentials import Credentials, bare
from launcher.image.source.line import Line
from launcher.image.source.ranges import Span
from launcher.image.source.retry import Again
from launcher.settings.source import redact

logger = logging.getLogger("startvm")

MOST_REDIRECTS = 10

# What a server says that no longer likes the address, a signed one that has expired say.
EXPIRED = (400, 401, 403, 404, 410)

# Some servers say so of a file that is packed, and send it as it is, unasked.
OWN_PACKING = {
    ".gz": ("gzip", "x-gzip"),
    ".xz": ("xz", "x-xz"),
    ".zst": ("zstd",),
    ".bz2": ("bzip2", "x-bzip2"),
}


class Client:
    """Asks for one address, from any number of threads, each with a line of its own.

    :param setting: the one that names the address.
    :param stall: seconds without a byte after which a request is given up.
    """

    def __init__(self, url: str, setting: str, credentials: Credentials, stall: float) -> None:
        self.url = url
        self.stall = stall
        self.shown = f"{setting}={redact(url)}"
        self._credentials = credentials
        # Where the redirects ended. All parts come from there: mirrors may differ.
        self._place = url
        self._is_tls_ready = False
        # Its warnings print addresses whole, at debug level each request does.
        logging.getLogger("urllib3").setLevel(logging.ERROR)

    def ask(
        self, line: Line, span: Span | None, pinned: str = "", *, connect: float = 0.0
    ) -> requests.Response:
        """The answer to a request for `span`, or for everything; headers only.

        :param pinned: the validator that the file must still have; with another one, all of it
            comes.
        :param connect: seconds that connecting may take, if fewer than usual.
        :raise Again: when asking once more makes sense.
        :raise SourceUnavailable: when it makes none, for want of any answer.
        :raise InputMissing: when the authorities to trust cannot be read.
        """
        headers = {}
        if span is not None:
            headers["Range"] = span.header
        if pinned:
            headers["If-Range"] = pinned
        timeout = (connect or failure.CONNECT_TIMEOUT, self.stall)
        place = self._place
        answer = self._follow(line, place, headers, timeout)
        if answer.status_code in EXPIRED and place != self.url:
            answer.close()
            answer = self._follow(line, self.url, headers, timeout)
        if retry.is_not_now(answer.status_code):
            asked = retry.retry_after(answer.headers.get("Retry-After", ""), time.time())
            answer.close()
            raise Again(f"it answered {answer.status_code}", self.refusal(answer), asked)
        return answer

    def refusal(self, answer: requests.Response) -> SourceUnavailable:
        """What to say of an answer without the bytes that were asked for."""
        status = answer.status_code
        hint = failure.HINTS.get(status, failure.LATER if status >= 500 else "")
        return SourceUnavailable(
            f"{self.shown_with(answer)} answered {failure.named(status)}", hint=hint
        )

    def check_encoding(self, answer: requests.Response) -> None:
        """Refuse an answer whose body is not the file itself.

        :raise ImageRefused:
        """
        encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
        suffix = PurePosixPath(urlsplit(self.url).path).suffix
        if encoding not in ("", "identity", *OWN_PACKING.get(suffix, ())):
            raise ImageRefused(
                f"{self.shown_with(answer)} came with a Content-Encoding, though none was asked "
                "for",
                hint="the server packs what it sends: neither its length nor its checksum could "
                "be checked. Turn that off for this file, or use another server",
            )

    def is_laid_open(self, answer: requests.Response) -> bool:
        """Whether the last part of the way is not encrypted, though the address is."""
        return self.url.startswith("https:") and answer.url.startswith("http:")

    def shown_with(self, answer: requests.Response) -> str:
        """The address, and where it led."""
        final = redact(answer.url)
        return self.shown + ("" if final == redact(self.url) else f" (redirected to {final})")

    def explain(
        self, err: BaseException, connect: float = failure.CONNECT_TIMEOUT
    ) -> tuple[str, bool]:
        return failure.explain(err, self.stall, connect)

    def _prepare_tls(self, url: str) -> None:
        if url.startswith("https:") and not self._is_tls_ready:
            authorities.check()
            self._is_tls_ready = True

    def _follow(
        self, line: Line, url: str, headers: dict[str, str], timeout: tuple[float, float]
    ) -> requests.Response:
        try:
            for _ in range(MOST_REDIRECTS + 1):
                self._prepare_tls(url)
                sent = self._credentials.of(url)
                answer = line.get(bare(url), sent | headers, timeout)
                target = line.session.get_redirect_target(answer)
                if target is None:
                    if answer.ok:
                        self._place = url
                    return answer
                answer.close()
                url = urljoin(answer.url, requests.utils.requote_uri(target))
        # urllib3's own come through where requests reads a body by itself.
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            OSError,
            ValueError,
        ) as err:
            why, again = self.explain(err, timeout[0])
            error = SourceUnavailable(f"{self.shown} cannot be fetched: {why}")
            raise (Again(why, error) if again else error) from None
        raise SourceUnavailable(
            f"{self.shown} redirects more than {MOST_REDIRECTS} times",
            hint="does it redirect to itself? try it with curl -L",
        )
