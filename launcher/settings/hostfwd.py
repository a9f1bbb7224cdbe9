"""HOSTFWD: which of the pod's ports lead to the VM under NETWORK=user, in QEMU's own words."""

import re
from ipaddress import AddressValueError, IPv4Address
from itertools import combinations
from typing import Literal, NamedTuple

# qemu(1), `-netdev user`: hostfwd=[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport
RULE = re.compile(r"(?:hostfwd=)?([^:]*):([^:]*):([^:-]*)-([^:]*):([^:]*)", re.ASCII)
ANY = IPv4Address(0)

ACCEPTED = "a comma list of QEMU's rules, such as tcp::2222-:22,udp:10.0.0.5:53-:53"


class Forward(NamedTuple):
    """`host`: the pod's address, None for all of them; `guest`: None for the VM's own."""

    protocol: Literal["tcp", "udp"]
    host: IPv4Address | None
    host_port: int
    guest: IPv4Address | None
    guest_port: int

    def __str__(self) -> str:
        host, guest = self.host or "", self.guest or ""
        return f"{self.protocol}:{host}:{self.host_port}-{guest}:{self.guest_port}"

    def collides(self, other: "Forward") -> bool:
        """Whether both ask for one port of one address."""
        if (self.protocol, self.host_port) != (other.protocol, other.host_port):
            return False
        return self.host == other.host or None in (self.host, other.host)


def forwards(value: str) -> tuple[Forward, ...]:
    """The rules in their order.

    :raise ValueError: with what is accepted and everything that is wrong.
    """
    found, problems = [], []
    for word in (each.strip() for each in value.split(",")):
        rule, wrong = _rule(word)
        problems += [f"{word!r}: {each}" for each in wrong]
        found += [rule] if rule else []
    problems += [
        f"'{one}' and '{two}' take the same port"
        for one, two in combinations(found, 2)
        if one.collides(two)
    ]
    if problems:
        raise ValueError(f"{ACCEPTED} ({'; '.join(problems)})")
    return tuple(found)


def _rule(word: str) -> tuple[Forward | None, list[str]]:
    match = RULE.fullmatch(word)
    if not match:
        return None, ["it is not protocol:[address]:port-[address]:port"]
    protocol, host, host_port, guest, guest_port = match.groups()
    wrong = []
    # QEMU takes no protocol for tcp.
    if protocol.lower() not in ("tcp", "udp", ""):
        wrong.append("the protocol is tcp or udp")
    for port in (host_port, guest_port):
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            wrong.append(f"{port or 'nothing'} is no port from 1 to 65535")
    for address in filter(None, (host, guest)):
        try:
            IPv4Address(address)
        except AddressValueError:
            wrong.append(f"{address} is no IPv4 address")
    if wrong:
        return None, wrong
    rule = Forward(
        protocol="udp" if protocol.lower() == "udp" else "tcp",
        host=_address(host),
        host_port=int(host_port),
        guest=_address(guest),
        guest_port=int(guest_port),
    )
    return rule, []


def _address(text: str) -> IPv4Address | None:
    """No address and 0.0.0.0 are the same to QEMU."""
    address = IPv4Address(text) if text else ANY
    return None if address == ANY else address
