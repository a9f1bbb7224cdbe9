"""What runs in a peer's pod; it needs nothing of this checkout.

`serve PORT`: answer each connection and each datagram with who answers and whom it sees, in JSON.
`hear HOST PORT`: print all that is said there. `echo HOST PORT`: send a datagram, print the answer.
`relay HOST PORT`: be a wire between that and whoever runs this.
"""

import json
import os
import select
import socket
import sys

# Seconds. An emulated VM may be slow to answer.
PATIENCE = 60.0


def serve(port: int) -> None:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.bind(("", port))
        stream.listen()
        datagrams.bind(("", port))
        while True:
            ready, _, _ = select.select([stream, datagrams], [], [])
            if stream in ready:
                connection, peer = stream.accept()
                with connection:
                    connection.sendall(_words(peer[0]))
            if datagrams in ready:
                _, peer = datagrams.recvfrom(4096)
                datagrams.sendto(_words(peer[0]), peer)


def _words(peer: str) -> bytes:
    return json.dumps({"who": socket.gethostname(), "saw": peer}).encode()


def hear(host: str, port: int) -> None:
    with socket.create_connection((host, port), PATIENCE) as connection:
        while data := connection.recv(65536):
            os.write(1, data)


def echo(host: str, port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(PATIENCE)
        datagrams.connect((host, port))
        datagrams.send(os.read(0, 65536))
        os.write(1, datagrams.recv(65536))


def relay(host: str, port: int) -> None:
    with socket.create_connection((host, port), PATIENCE) as wire:
        wire.settimeout(None)
        here = [0, wire.fileno()]
        while True:
            for end in select.select(here, [], [])[0]:
                data = os.read(end, 65536)
                if not data and end:
                    return
                if data and end:
                    os.write(1, data)
                elif data:
                    wire.sendall(data)
                else:
                    wire.shutdown(socket.SHUT_WR)
                    here.remove(0)


def main(words: list[str]) -> None:
    match words:
        case ["serve", port]:
            serve(int(port))
        case ["hear", host, port]:
            hear(host, int(port))
        case ["echo", host, port]:
            echo(host, int(port))
        case ["relay", host, port]:
            relay(host, int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
