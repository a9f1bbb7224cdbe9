"""A web server that misbehaves as told, and remembers who asked for what."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any, Literal

from tests.storage import tunnel
from tests.storage.drip import drip

PIECE = 1 << 16


@dataclass(slots=True)
class Hold:
    """Stops an answer in the middle: `reached` is set by the server, `go` by the test."""

    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    `promised`: the Content-Length if it is not that of `body`; None for no such header.
    `cut`: after how many bytes the connection ends; `reset`: whether it does so rudely.
    `chunked`: as pieces that carry their own length; a cut then leaves out the last piece's end.
    `hold`: stop halfway until told to go on. `silent`: say nothing at all and hang up.
    `late`: what to do before a word is said, while others get answers. `wait`: the same before
    the first byte of the body. `speed`: bytes per second of the body.
    `keep`: let the connection be used for another request.
    `drips`: what begins with single bytes, so slowly that a test waits five seconds for the rest.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = -1
    cut: int | None = None
    reset: bool = False
    chunked: bool = False
    hold: Hold | None = None
    silent: bool = False
    late: Callable[[], object] | None = None
    wait: Callable[[], object] | None = None
    speed: int | None = None
    keep: bool = False
    drips: Literal["", "headers", "body"] = ""


@dataclass(frozen=True, slots=True)
class Request:
    """`at`: when it came, of `time.monotonic()`."""

    path: str
    headers: Mapping[str, str]
    at: float = field(default_factory=time.monotonic)


class Server:
    """`replies` maps a path to its answer, or to several, given one after the other.

    The last of several is given from then on. Or it maps to what makes an answer of a request.
    What is not in it is 404. `sent`: bytes of bodies. `most_at_once`: connections whose answers
    were under way at the same time. `connections`: all that were ever made. `drop_handshakes`: how
    many connections are closed instead of answering in TLS. `behind`: where a tunnel leads that is
    asked for with CONNECT; the reply for `host:port` decides about it.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.scheme = "http"
        self.replies: dict[str, Reply | Sequence[Reply] | Callable[[Request], Reply]] = {}
        self.sent = 0
        self.most_at_once = 0
        self.connections = 0
        self.drop_handshakes = 0
        self.behind = address
        self._at_once = 0
        self.requests: list[Request] = []
        self._lock = threading.Lock()

    def url(self, path: str, user: str = "") -> str:
        """The address of `path`; `user` is `name:password`."""
        host, port = self.address
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{user and user + '@'}{shown}:{port}{path}"

    def serve(self, path: str, reply: Reply | bytes, *more: Reply) -> str:
        """Answer requests for `path` so; returns its address."""
        first = Reply(reply) if isinstance(reply, bytes) else reply
        self.replies[path] = (first, *more)
        return self.url(path)

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [each.path for each in self.requests]

    def reply_to(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            found = self.replies.get(request.path.partition("?")[0], Reply(b"nothing", 404))
            if isinstance(found, Reply):
                return found
            if callable(found):
                return found(request)
            if len(found) > 1:
                self.replies[request.path.partition("?")[0]] = found[1:]
            return found[0]

    @contextmanager
    def answering(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            with self._lock:
                self._at_once -= 1

    def count(self, sent: int) -> None:
        with self._lock:
            self.sent += sent


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ours: Server

    def setup(self) -> None:
        super().setup()
        self.ours.connections += 1

    def do_GET(self) -> None:
        reply = self.ours.reply_to(Request(self.path, dict(self.headers)))
        self.close_connection = not reply.keep
        if reply.late:
            reply.late()
        if reply.silent:
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.promised is not None:
            length = len(reply.body) if reply.promised == -1 else reply.promised
            self.send_header("Content-Length", str(length))
        if not reply.keep:
            self.send_header("Connection", "close")
        try:
            if reply.drips == "headers":
                file, head = self.wfile, BytesIO()
                self.wfile = head
                self.end_headers()
                self.wfile = file
                drip(file, head.getvalue())
            else:
                self.end_headers()
            with self.ours.answering():
                self.wfile.flush()
                if reply.wait:
                    reply.wait()
                self.send_body(reply)
        except ConnectionError:
            self.close_connection = True
            return  # the client had enough
        if reply.reset:
            # Closing with a linger time of zero sends RST instead of FIN.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def do_CONNECT(self) -> None:
        self.close_connection = True
        reply = self.ours.reply_to(Request(self.path, dict(self.headers)))
        self.send_response(reply.status)
        self.end_headers()
        self.wfile.flush()
        if reply.status == 200:
            tunnel.between(self.connection, self.ours.behind)

    def send_body(self, reply: Reply) -> None:
        body = reply.body if reply.cut is None else reply.body[: reply.cut]
        for start in range(0, len(body), PIECE):
            if reply.hold and start >= len(body) // 2:
                self.wfile.flush()
                reply.hold.reached.set()
                reply.hold.go.wait()
            piece = body[start : start + PIECE]
            if reply.chunked:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif reply.drips == "body" and start == 0:
                drip(self.wfile, piece)
            else:
                self.wfile.write(piece)
            self.ours.count(len(piece))
            if reply.speed:
                time.sleep(len(piece) / reply.speed)
        if reply.chunked and reply.cut is None:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what a test wants to know is in `Server.requests`."""


@contextmanager
def running(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    """A server on a free port, of loopback unless told."""

    class OurHandler(Handler):
        pass

    class Listener(ThreadingHTTPServer):
        # Sixteen connections at once must not wait for each other.
        request_queue_size = 128
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def get_request(self) -> tuple[socket.socket, Any]:
            connection, address = super().get_request()
            if server.drop_handshakes:
                server.drop_handshakes -= 1
                # All that came is read, so that it is not a reset.
                connection.recv(1 << 16)
                connection.close()
                raise OSError("dropped")
            if tls:
                connection = tls.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            return connection, address

    with Listener((host, 0), OurHandler) as listener:
        listener.daemon_threads = True
        server = Server((host, listener.server_address[1]))
        server.scheme = "https" if tls else "http"
        OurHandler.ours = server
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
