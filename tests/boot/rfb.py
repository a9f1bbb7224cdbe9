"""A VNC viewer as small as can be: RFB 3.8 (RFC 6143), with and without a password."""

import socket
import struct
import subprocess
from dataclasses import dataclass

NO_AUTHENTICATION, VNC_AUTHENTICATION = 1, 2
RAW = 0
SET_ENCODINGS, UPDATE_REQUEST = 2, 3
# Seconds; QEMU answers with the next picture that it draws.
PATIENCE = 30.0


class RefusedError(Exception):
    """The server refuses the password."""


@dataclass(frozen=True)
class Screen:
    name: str
    width: int
    height: int


class Viewer:
    """`end` is a fresh connection. `offered` are the security types that the server has."""

    def __init__(self, end: socket.socket, password: bytes | None = None) -> None:
        self._end = end
        end.settimeout(PATIENCE)
        version = self._receive(12)
        assert version == b"RFB 003.008\n", version
        end.sendall(version)
        self.offered = set(self._receive(self._receive(1)[0]))
        if password is None:
            assert NO_AUTHENTICATION in self.offered, self.offered
            end.sendall(bytes([NO_AUTHENTICATION]))
        else:
            assert VNC_AUTHENTICATION in self.offered, self.offered
            end.sendall(bytes([VNC_AUTHENTICATION]))
            end.sendall(_answer(self._receive(16), password))
        if self._number():
            raise RefusedError(self._receive(self._number()).decode())
        self.screen = self._initialise()

    def picture(self) -> bytes:
        """The pixels of the whole screen as it is now, four bytes each."""
        self._end.sendall(struct.pack("!BxHi", SET_ENCODINGS, 1, RAW))
        size = (self.screen.width, self.screen.height)
        self._end.sendall(struct.pack("!BBHHHH", UPDATE_REQUEST, 0, 0, 0, *size))
        kind, count = struct.unpack("!BxH", self._receive(4))
        assert kind == 0, kind
        pixels = b""
        for _ in range(count):
            _, _, width, height, encoding = struct.unpack("!HHHHi", self._receive(12))
            assert encoding == RAW, encoding
            pixels += self._receive(width * height * 4)
        return pixels

    def _initialise(self) -> Screen:
        """Share the screen with others; the server describes it."""
        self._end.sendall(b"\x01")
        width, height, bits = struct.unpack("!HHB15x", self._receive(20))
        assert bits == 32, bits
        return Screen(self._receive(self._number()).decode(), width, height)

    def _number(self) -> int:
        return int.from_bytes(self._receive(4))

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            chunk = self._end.recv(length - len(data))
            assert chunk, f"the server hung up; {length - len(data)} bytes are missing"
            data += chunk
        return data


def _answer(challenge: bytes, password: bytes) -> bytes:
    """The challenge enciphered by DES; VNC has each byte of the key the other way round.

    Triple DES with one key three times over is DES, which OpenSSL has no longer by itself.
    """
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password[:8].ljust(8, b"\0"))
    done = subprocess.run(
        ["openssl", "enc", "-des-ede3", "-nopad", "-K", (key * 3).hex()],
        input=challenge,
        capture_output=True,
        check=True,
    )
    return done.stdout
