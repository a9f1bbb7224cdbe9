"""http(s) sources: one request, its body as it is, every failure said in a sentence.

Proxies (`HTTPS_PROXY`, `NO_PROXY`), certificates (`REQUESTS_CA_BUNDLE`) and `.netrc` count as
requests documents them: it runs in our own process, with the container's environment.

An address may hold a password or a signature, and libraries print addresses whole. So no text of
an exception of theirs is shown, and errors are raised `from None`.
"""

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import launcher
from launcher.host.errors import ImageRefused, SourceUnavailable
from launcher.image.source.stream import CHUNK, Stream
from launcher.settings.source import redact

if TYPE_CHECKING:
    import requests

logger = logging.getLogger("startvm")

CONNECT_TIMEOUT = 15.0
# Between two arrivals of bytes, and before the first.
READ_TIMEOUT = 60.0

MOST_REDIRECTS = 10

# Seconds before trying again when there was no answer at all, or one that says "not now": a pod's
# network and its proxies may come up later than its containers.
PAUSES = (1.0, 3.0)
NOT_NOW = (429, 502, 503, 504)

# Some servers say so of a file that is packed, and send it as it is, unasked.
OWN_PACKING = {
    ".gz": ("gzip", "x-gzip"),
    ".xz": ("xz", "x-xz"),
    ".zst": ("zstd",),
    ".bz2": ("bzip2", "x-bzip2"),
}

HINTS = {
    401: "the server wants credentials, or those given are wrong",
    403: "the server wants credentials, or a signed address has expired",
    404: "the file is not there: images at dated addresses get removed when newer ones come",
    407: "the proxy wants credentials: http://user:password@host:port in HTTPS_PROXY",
    410: "the file is not there any more",
    429: "the server wants fewer requests; try again later",
}
LATER = "the server has a problem; try again later"


@contextmanager
def opened(url: str, setting: str, *, pauses: Sequence[float] | None = None) -> Iterator[Stream]:
    """Ask for `url` and follow redirects. The connection is closed with the context.

    :raise SourceUnavailable: see `opened.opened`; also while the chunks are read.
    :raise ImageRefused: for a body with a Content-Encoding.
    """
    import requests

    # Its warnings print addresses whole, at debug level each request does.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    with requests.Session() as session:
        session.max_redirects = MOST_REDIRECTS
        session.headers.clear()
        # Without "identity" servers may pack what is packed already, and requests would unpack it:
        # neither the length nor the checksum would then be that of what arrives.
        session.headers["Accept-Encoding"] = "identity"
        session.headers["Accept"] = "*/*"
        session.headers["User-Agent"] = f"berth/{launcher.__version__}"
        shown = f"{setting}={redact(url)}"
        with closing(_answer(session, url, shown, PAUSES if pauses is None else pauses)) as answer:
            _accept(answer, url, shown)
            length = answer.raw.length_remaining
            yield Stream(_chunks(answer, shown, length), length, "downloaded")


def _answer(
    session: "requests.Session", url: str, shown: str, pauses: Sequence[float]
) -> "requests.Response":
    """The first answer that is not "not now", or the last answer; headers only."""
    import requests
    import urllib3

    for pause in (*pauses, None):
        try:
            answer = session.get(url, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
        except requests.TooManyRedirects:
            raise SourceUnavailable(
                f"{shown} redirects more than {MOST_REDIRECTS} times",
                hint="does it redirect to itself? try it with curl -L",
            ) from None
        # urllib3's own come through where requests reads a body by itself, that of a redirect.
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as err:
            why, again = explain(err)
            if pause is None or not again:
                raise SourceUnavailable(f"{shown} cannot be fetched: {why}") from None
        else:
            if answer.status_code not in NOT_NOW or pause is None:
                return answer
            why = f"it answered {answer.status_code}"
            answer.close()
        logger.warning("%s: %s; trying again in %.0f s", shown, why, pause)
        time.sleep(pause)
    raise AssertionError("the last round returns or raises")


def _accept(answer: "requests.Response", url: str, shown: str) -> None:
    """Refuse an answer whose body is not the file itself."""
    from http.client import responses
    from urllib.parse import urlsplit

    final = redact(answer.url)
    if final != redact(url):
        shown += f" (redirected to {final})"
    status = answer.status_code
    if status != 200:
        hint = HINTS.get(status, LATER if status >= 500 else "")
        text = f"{status} {responses.get(status, '')}".strip()
        raise SourceUnavailable(f"{shown} answered {text}", hint=hint)
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    suffix = PurePosixPath(urlsplit(url).path).suffix
    if encoding not in ("", "identity", *OWN_PACKING.get(suffix, ())):
        raise ImageRefused(
            f"{shown} came with a Content-Encoding, though none was asked for",
            hint="the server packs what it sends: neither its length nor its checksum could be "
            "checked. Turn that off for this file, or use another server",
        )
    if url.startswith("https:") and answer.url.startswith("http:"):
        logger.warning("%s: the last part of the way is not encrypted; set IMG_CHECKSUM", shown)


def _chunks(answer: "requests.Response", shown: str, length: int | None) -> Iterator[bytes]:
    import urllib3

    received = 0
    try:
        for chunk in answer.raw.stream(CHUNK, decode_content=False):
            received += len(chunk)
            yield chunk
    except (urllib3.exceptions.HTTPError, OSError) as err:
        why, _ = explain(err)
        raise SourceUnavailable(
            f"{shown}: {_ended(received, length)}: {why}", hint="try again; nothing was kept"
        ) from None
    if length is not None and received != length:
        raise SourceUnavailable(
            f"{shown}: {_ended(received, length)}", hint="try again; nothing was kept"
        )


def _ended(received: int, length: int | None) -> str:
    of = "" if length is None else f" of {length}"
    return f"the transfer ended after {received}{of} bytes"


def explain(err: BaseException) -> tuple[str, bool]:
    """Why a request failed, without its address, and whether trying again makes sense.

    What the system said is in the causes, and holds no address; what libraries made of it does.
    """
    import requests
    from urllib3 import exceptions

    causes = list(_causes(err))

    def is_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if is_of(exceptions.ProxyError, requests.exceptions.InvalidProxyURL):
        return "the proxy that HTTPS_PROXY or HTTP_PROXY names cannot be used", True
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted ({cause.verify_message})"
            return f"{text}; REQUESTS_CA_BUNDLE names a file with further authorities", False
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'no reason given'})", False
        if isinstance(cause, socket.gaierror):
            return f"its host name does not resolve ({cause.strerror})", True
        # A number of the system's own: libraries' errors are OSErrors, too, but have none.
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            return cause.strerror.lower(), True
    if is_of(exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:.0f} s", True
    if is_of(exceptions.ReadTimeoutError, TimeoutError):
        return f"nothing came for {READ_TIMEOUT:.0f} s", True
    if is_of(requests.exceptions.InvalidSchema):
        return "it leads to an address that is neither http nor https", False
    if isinstance(err, ValueError):
        return "it leads to an address that makes no sense", False
    return "the server closed the connection, or does not speak HTTP", True


def _causes(err: BaseException) -> Iterator[BaseException]:
    """`err` and what it was raised for: libraries keep that in any of four places."""
    seen: set[int] = set()
    todo: list[object] = [err]
    while todo:
        each = todo.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += [getattr(each, "reason", None), *each.args, each.__cause__, each.__context__]
