"""Why a request failed, said in a sentence.

An address may hold a password or a signature, and libraries print addresses whole. So no text of
an exception of theirs is shown, and errors are raised `from None`.
"""

import re
import socket
import ssl
from collections.abc import Iterator

from launcher.image.source import retry

CONNECT_TIMEOUT = 15.0

HINTS = {
    401: "the server wants credentials, or those given are wrong",
    403: "the server wants credentials, or a signed address has expired",
    404: "the file is not there: images at dated addresses get removed when newer ones come",
    407: "the proxy wants credentials: http://user:password@host:port in HTTPS_PROXY",
    410: "the file is not there any more",
    429: "the server wants fewer requests; try again later",
}
LATER = "the server has a problem; try again later"

TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})\b")
TUNNEL_HINTS = {
    403: "it does not let us through to that host; NO_PROXY names hosts to reach without it",
    407: HINTS[407],
}


def explain(err: BaseException, stall: float, connect: float = CONNECT_TIMEOUT) -> tuple[str, bool]:
    """Why a request failed, without its address, and whether trying again makes sense.

    What the system said is in the causes, and holds no address; what libraries made of it does.

    :param stall: seconds without a byte after which it was given up.
    :param connect: seconds after which connecting was.
    """
    import requests
    from urllib3 import exceptions

    causes = list(_causes(err))

    def is_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    for cause in causes:
        # What http.client makes of a proxy's answer to CONNECT; it has no number elsewhere.
        if isinstance(cause, OSError) and (refused := TUNNEL.match(str(cause))):
            return _no_tunnel(int(refused[1]))
    if is_of(exceptions.ProxyError, requests.exceptions.InvalidProxyURL):
        return "the proxy that HTTPS_PROXY or HTTP_PROXY names cannot be used", True
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted ({cause.verify_message})"
            return f"{text}; REQUESTS_CA_BUNDLE names a file with the authorities to trust", False
        # In the middle of a handshake, or without the goodbye that TLS has.
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return "the server closed the connection", True
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({cause.reason or 'no reason given'})", False
        if isinstance(cause, socket.gaierror):
            return f"its host name does not resolve ({cause.strerror})", True
        # A number of the system's own: libraries' errors are OSErrors, too, but have none.
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            return cause.strerror.lower(), True
    if is_of(exceptions.ConnectTimeoutError):
        return f"no connection within {connect:.0f} s", True
    if is_of(exceptions.ReadTimeoutError, TimeoutError):
        return f"nothing came for {stall:.0f} s", True
    if is_of(requests.exceptions.InvalidSchema):
        return "it leads to an address that is neither http nor https", False
    if isinstance(err, ValueError):
        return "it leads to an address that makes no sense", False
    return "the server closed the connection, or does not speak HTTP", True


def _no_tunnel(status: int) -> tuple[str, bool]:
    """A proxy did not connect us; `status` is what it said instead."""
    hint = TUNNEL_HINTS.get(status, "the proxy has a problem, or the server behind it")
    text = f"the proxy that HTTPS_PROXY names answered {named(status)} (hint: {hint})"
    return text, retry.is_not_now(status)


def named(status: int) -> str:
    """A status with the words that belong to it."""
    from http.client import responses

    return f"{status} {responses.get(status, '')}".strip()


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
