"""Servers that say who they are and whom they see, and clients that ask them."""

import json
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.pods.namespaces import Namespace

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
ECHO_REQUEST = 8


@dataclass(frozen=True)
class Reply:
    """`who` is the role of the namespace that answered, `saw` the address it was asked from."""

    who: str
    saw: str


@contextmanager
def answering(space: Namespace, kind: int, port: int, address: str = "") -> Iterator[None]:
    """Answer on a port in the namespace, each request with a `Reply`."""
    with ExitStack() as stack:
        server = stack.enter_context(space.socket(kind))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if kind == TCP:
            server.listen()
        stopped, stop = os.pipe()
        stack.callback(os.close, stopped)
        thread = threading.Thread(target=_serve, args=(space, server, stopped))
        thread.start()
        stack.callback(thread.join)
        stack.callback(os.close, stop)
        yield


def _serve(space: Namespace, server: socket.socket, stopped: int) -> None:
    while server.fileno() in select.select([server.fileno(), stopped], [], [])[0]:
        if server.type == TCP:
            connection, peer = server.accept()
            with connection:
                connection.sendall(_words(space, peer[0]))
        else:
            _, peer = server.recvfrom(4096)
            server.sendto(_words(space, peer[0]), peer)


def _words(space: Namespace, peer: str) -> bytes:
    return json.dumps({"who": space.role, "saw": peer}).encode()


def accept(server: socket.socket) -> socket.socket:
    """Accept a connection that is waited for no longer than its listener."""
    connection, _ = server.accept()
    connection.settimeout(server.gettimeout())
    return connection


def ask(space: Namespace, kind: int, address: str, port: int) -> Reply:
    """Ask a server from the namespace. Raises ConnectionRefusedError where there is none."""
    with space.socket(kind) as client:
        client.connect((address, port))
        return ask_on(client)


def ask_on(client: socket.socket) -> Reply:
    if client.type == UDP:
        client.send(b"?")
    data = b""
    while chunk := client.recv(4096):
        data += chunk
        if client.type == UDP:
            break
    return Reply(**json.loads(data))


@contextmanager
def listening(space: Namespace, protocol: int) -> Iterator[socket.socket]:
    """A raw socket that gets every packet of an IP protocol which arrives in the namespace."""
    with space.socket(socket.SOCK_RAW, protocol) as raw:
        yield raw


def send_raw(space: Namespace, protocol: int, address: str, payload: bytes) -> None:
    with space.socket(socket.SOCK_RAW, protocol) as raw:
        raw.sendto(payload, (address, 0))


def receive_raw(raw: socket.socket) -> tuple[str, bytes]:
    """The next packet's source address and its payload."""
    packet, (source, _) = raw.recvfrom(65536)
    return source, packet[(packet[0] & 0xF) * 4 :]


def echo_request(identifier: int, payload: bytes) -> bytes:
    """An ICMP echo request (RFC 792)."""
    head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, identifier, 1)
    return head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:] + payload


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total = sum(int.from_bytes(padded[at : at + 2]) for at in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def sctp_init(port: int) -> bytes:
    """An SCTP packet that opens an association (RFC 9260): the kernel tracks no lesser one."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65536, 1, 1, 1)
    head = struct.pack("!HHI", 40000, port, 0)
    digest = crc32c(head + bytes(4) + chunk)
    return head + struct.pack("<I", digest) + chunk


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC, which SCTP uses; zlib's is another one."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF
