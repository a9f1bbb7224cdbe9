"""What a proxy does once it was asked for with CONNECT."""

import socket
import threading
from contextlib import suppress


def between(client: socket.socket, address: tuple[str, int]) -> None:
    """Hand all bytes on, in both directions, until both sides have closed."""
    with socket.create_connection(address) as server:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
