"""Text to value, one parser for each kind of setting.

A parser gets the text as it stands in the environment, never an empty one, and raises ValueError
with what it accepts, as a clause that follows "accepted: ".
"""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal, NamedTuple

from launcher.settings.source import LONGEST_NAME, URL, is_path

SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
NO_WORDS = ("0", "no", "off", "false", "n", "f")

# Without re.ASCII the Kelvin sign would pass for a K, and a long s for an s.
IGNORE_CASE = re.IGNORECASE | re.ASCII

# No host has an address of it (RFC 1122, section 3.2.1.3).
THIS_NETWORK = IPv4Network("0.0.0.0/8")

Protocol = Literal["tcp", "udp", "sctp"]


class Port(NamedTuple):
    """One port of one transport protocol, written `tcp/5900`."""

    protocol: Protocol
    number: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.number}"


class Checksum(NamedTuple):
    """What the fetched bytes must hash to: a hex digest, or the URL of a SUMS file."""

    algorithm: Literal["sha256", "sha512"]
    digest: str = ""
    sums_url: str = ""


def text(value: str) -> str:
    return value


def flag(value: str) -> bool:
    """The first Berth took any non-empty value as yes; a clear no is taken as no all the same."""
    return value.lower() not in NO_WORDS


def path(value: str) -> Path:
    if not value.startswith("/") or "\0" in value:
        raise ValueError("a full path, such as /userdata")
    return Path(value)


def source(value: str) -> str:
    url = URL.fullmatch(value)
    if is_path(value) or (url and url["path"] and url["path"] + url["query"] != "/"):
        return value
    raise ValueError(
        "an http:// or https:// URL, or a full path in the container, such as "
        "https://example.org/disk.qcow2 or /images/disk.qcow2"
    )


def target(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", value) or is_path(value):
        return value
    raise ValueError(
        "a file name of letters, digits and ._+- (it names the base on the shared volume), or "
        "the full path of an image in the container"
    )


def checksum(value: str) -> Checksum:
    match = re.fullmatch(r"sha(?:256:([0-9a-fA-F]{64})|512:([0-9a-fA-F]{128}))", value)
    if match and match[1]:
        return Checksum("sha256", digest=match[1].lower())
    if match:
        return Checksum("sha512", digest=match[2].lower())
    url = URL.fullmatch(value)
    sums = re.search(r"/.*SHA(256|512)SUM", f"{url['path']}{url['query']}") if url else None
    if sums:
        return Checksum("sha256" if sums[1] == "256" else "sha512", sums_url=value)
    raise ValueError(
        "sha256: and 64 hex digits, sha512: and 128, or the URL of a SHA256SUMS or SHA512SUMS file"
    )


def host_name(value: str) -> str:
    """RFC 1123: labels of letters, digits and hyphens. It is a file name here, too."""
    label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    if len(value) <= LONGEST_NAME and re.fullmatch(rf"{label}(\.{label})*", value):
        return value
    raise ValueError(
        "a host name of letters, digits, hyphens and dots, up to "
        f"{LONGEST_NAME} characters, such as web-0"
    )


def user(value: str) -> str:
    """A name as useradd(8) allows it, or a number."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}[A-Za-z0-9_.$-]?|[0-9]{1,10}", value):
        return value
    raise ValueError("a user of the container by name or number, such as qemu or 107")


def size(value: str) -> int:
    """Bytes. `4G`, `4Gi` and `4GiB` are the same: 4 × 2^30, as QEMU and qemu-img take them."""
    match = re.fullmatch(r"([0-9]{1,15})([KMGT]?)(i?B?)", value, IGNORE_CASE)
    if not match or (match[3].lower() == "i" and not match[2]) or int(match[1]) == 0:
        raise ValueError("a size in bytes or with K, M, G or T (powers of 1024), such as 512M, 4G")
    return int(match[1]) * SIZE_UNITS[match[2].upper()]


def mebibytes(value: str) -> int:
    """Bytes, from a plain number of MiB."""
    return whole(1, 1 << 30)(value) * (1 << 20)


def whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `most`."""

    def parse(value: str) -> int:
        if re.fullmatch(r"[0-9]{1,18}", value) and least <= int(value) <= most:
            return int(value)
        raise ValueError(f"a whole number from {least} to {most}")

    return parse


def address(value: str) -> IPv4Address:
    accepted = "the IPv4 address of a host, such as 192.168.254.2"
    try:
        parsed = IPv4Address(value)
    except AddressValueError as err:
        raise ValueError(accepted) from err
    if parsed.is_loopback or parsed.is_multicast or parsed.is_reserved or parsed in THIS_NETWORK:
        raise ValueError(accepted)
    return parsed


def ports(value: str) -> tuple[Port, ...]:
    """A comma list such as `tcp/9180,udp/53`, sorted, each once."""
    found = set()
    for word in value.split(","):
        match = re.fullmatch(r"\s*(tcp|udp|sctp)/([0-9]{1,5})\s*", word, IGNORE_CASE)
        if not match or not 1 <= int(match[2]) <= 65535:
            raise ValueError("a comma list of protocol/port, such as tcp/9180,udp/53")
        protocol: Protocol = _PROTOCOLS[match[1].lower()]
        found.add(Port(protocol, int(match[2])))
    return tuple(sorted(found))


_PROTOCOLS: dict[str, Protocol] = {"tcp": "tcp", "udp": "udp", "sctp": "sctp"}


def one_of(*words: str) -> Callable[[str], str]:
    """A parser of a closed set of words; case does not matter."""

    def parse(value: str) -> str:
        if value.lower() in words:
            return value.lower()
        raise ValueError(", ".join(words[:-1]) + f" or {words[-1]}")

    return parse
