"""The pod's resolv.conf (pure)."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

# What may stand in a search list: host name labels, and underscores, which DNS itself allows.
DOMAIN = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)


class Resolver(NamedTuple):
    """Name servers and search domains, in their order, each once.

    `ignored` has the words that are neither, as they stood in the file.
    """

    nameservers: tuple[IPv4Address | IPv6Address, ...] = ()
    search: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def parse(text: str) -> Resolver:
    """Read a resolv.conf as resolv.conf(5) has it.

    `domain` is `search` with one word, and the last line of either kind counts. A trailing dot
    only says that a name is absolute, which search domains are anyway; DHCP has no way to write
    it. A lone dot, the root, adds nothing to a name and is dropped.
    """
    nameservers: list[IPv4Address | IPv6Address] = []
    search: list[str] = []
    ignored: list[str] = []
    for line in text.splitlines():
        words = re.sub(r"[#;].*", "", line).split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            try:
                nameservers.append(ip_address(words[1]))
            except ValueError:
                ignored.append(words[1])
        elif words[0] in ("search", "domain"):
            names = [word.rstrip(".") for word in words[1:]]
            search = [name for name in names if DOMAIN.fullmatch(name)]
            ignored += [name for name in names if name and not DOMAIN.fullmatch(name)]
    return Resolver(
        nameservers=tuple(dict.fromkeys(nameservers)),
        search=tuple(dict.fromkeys(search)),
        ignored=tuple(ignored),
    )
