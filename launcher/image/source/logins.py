"""Users and passwords of a netrc file, each for its own host only.

Such a file names hosts without a scheme or a port. Where an address leads is the server's word,
and so it must not choose who gets to see a password: nor by another port of the same host, nor by
a way that is not encrypted (curl calls that CVE-2022-27774).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from launcher.host.errors import SettingsError

if TYPE_CHECKING:
    from netrc import netrc

DEFAULT_PORTS = {"http": 80, "https": 443}

# What netrc calls the entry for every host without one.
DEFAULT = "default"


class Origin(NamedTuple):
    """What a secret belongs to (RFC 6454)."""

    scheme: str
    host: str
    port: int


def origin(url: str) -> Origin:
    """:raise ValueError: for an address that makes no sense."""
    parts = urlsplit(url)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    return Origin(parts.scheme, (parts.hostname or "").lower(), port)


class Logins:
    """What a netrc file has for the places that settings name, and for those they lead to.

    :param path: of the file; None for the one that NETRC names, or `~/.netrc`, as requests does.
    :param home: the source, to which alone the `default` entry goes.
    :param named: the place that is asked for.
    :raise SettingsError: when something else is in the file at `path`.
    """

    def __init__(self, path: Path | None, home: Origin, named: Origin) -> None:
        self._home = home
        self._named = {home, named}
        self._netrc = _usual() if path is None else _given(path)

    def of(self, place: Origin) -> tuple[str, str] | None:
        """User and password for a request to `place`."""
        if self._netrc is None or not self._may_see(place):
            return None
        found = None if place.host == DEFAULT else self._netrc.hosts.get(place.host)
        if found is None and place == self._home:
            found = self._netrc.hosts.get(DEFAULT)
        return (found[0], found[2] or "") if found else None

    def _may_see(self, place: Origin) -> bool:
        if place.scheme == "http" and any(each.scheme == "https" for each in self._named):
            return False
        same = [each for each in self._named if each.host == place.host]
        return not same or place in same or _is_secured(place, same)


def _is_secured(place: Origin, by: list[Origin]) -> bool:
    """Whether it is one of the others, but encrypted, as many servers want to be asked."""
    is_usual = (place.scheme, place.port) == ("https", 443)
    return is_usual and Origin("http", place.host, 80) in by


def _given(path: Path) -> "netrc":
    """requests would pass over a file that is wrong, and the server then refuse us."""
    from netrc import NetrcParseError, netrc

    try:
        return netrc(path)
    except (NetrcParseError, UnicodeError):
        # Their texts may quote the file.
        raise SettingsError(
            [
                f"IMG_NETRC_FILE={str(path)!r} has something that is not accepted in it; accepted: "
                "`machine HOST login USER password PASSWORD`"
            ]
        ) from None


def _usual() -> "netrc | None":
    """No setting of ours names it, so it may be for something else, and wrong as well."""
    from netrc import NetrcParseError, netrc

    given = os.environ.get("NETRC")
    for path in [given] if given else ["~/.netrc", "~/_netrc"]:
        try:
            return netrc(Path(path).expanduser())
        except FileNotFoundError:
            continue
        # The last one: whoever runs us has no home.
        except (OSError, NetrcParseError, UnicodeError, RuntimeError):
            return None
    return None
