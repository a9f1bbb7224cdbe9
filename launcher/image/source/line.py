"""A connection that another thread can end.

A thread that waits for a server cannot be told anything, but the socket it waits for can be shut
down. urllib3's `HTTPResponse.shutdown` does that for a body; here it is done for the time before,
too: TLS, and the wait for an answer. Only a connect that is under way has to be waited for.
"""

import socket
import threading
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Self

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssltransport import SSLTransport

import launcher


class Ended(OSError):
    """The line was ended, by whoever is no longer interested."""


# Connections are made somewhere below requests, by the thread that asks.
_asking = threading.local()


class _Http(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _asking.line.connected(self.sock)


class _Https(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _asking.line.connected(self.sock)


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str,
        proxies: dict[str, str] | None = None,
        cert: str | tuple[str, str] | None = None,
    ) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        pool.ConnectionCls = _Https if isinstance(pool, HTTPSConnectionPool) else _Http
        return pool


class Line:
    """One requests session, for one thread at a time; a context manager.

    Proxies (`HTTPS_PROXY`, `NO_PROXY`) and certificates (`REQUESTS_CA_BUNDLE`) count as requests
    documents them: it runs in our own process, with the container's environment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_ended = False
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter(pool_connections=1, pool_maxsize=1))
        # A cookie is for a host, whatever its port (RFC 6265, section 8.5): whoever listens at
        # another one would see what a server set together with a redirect.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.session.headers.clear()
        # Without "identity" servers may pack what is packed already, and requests would unpack it:
        # neither the length nor the checksum would then be that of what arrives.
        self.session.headers["Accept-Encoding"] = "identity"
        self.session.headers["Accept"] = "*/*"
        self.session.headers["User-Agent"] = f"berth/{launcher.__version__}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        err: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.session.close()

    def get(
        self, url: str, headers: dict[str, str], timeout: tuple[float, float]
    ) -> requests.Response:
        """Ask for `url`, and for nothing else: redirects are answers, too. Headers only.

        :param timeout: seconds to connect, and without a byte.
        """
        _asking.line = self
        return self.session.get(
            url,
            headers=headers,
            auth=_nothing_more,
            allow_redirects=False,
            stream=True,
            timeout=timeout,
        )

    def connected(self, sock: socket.socket | SSLTransport | None) -> None:
        with self._lock:
            # TLS to the server within TLS to the proxy.
            self._socket = sock.socket if isinstance(sock, SSLTransport) else sock
            if self._is_ended:
                raise Ended

    def end(self) -> None:
        """Make every wait of the thread that uses the line fail, now and from now on."""
        with self._lock:
            self._is_ended = True
            if self._socket is not None:
                # It may be at its end already.
                with suppress(OSError):
                    # That of an SSLSocket takes the encryption away under the other thread's feet.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _nothing_more(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Else requests looks for a `.netrc`, and gives its `default` to any host."""
    return request
