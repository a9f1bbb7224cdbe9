"""A certificate that nobody trusts by himself, and servers that show it."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.storage import http_server
from tests.storage.http_server import Server


@dataclass(frozen=True, slots=True)
class Certificate:
    """`path`: the certificate, which is its own authority, for 127.0.0.1, ::1, localhost and what
    else it was made for."""

    path: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What a server shows it with."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.path, self.key)
        return made

    @contextmanager
    def server(self) -> Iterator[Server]:
        with http_server.running(self.context()) as running:
            yield running


def make(folder: Path, *addresses: str) -> Certificate:
    made = Certificate(folder / "server.pem", folder / "server.key")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:images.invalid"
    names += "".join(f",IP:{each}" for each in addresses)
    argv += ["-noenc", "-days", "2", "-subj", "/CN=test", "-addext", names]
    subprocess.run([*argv, "-keyout", made.key, "-out", made.path], check=True, capture_output=True)
    return made
