"""What a server is told besides the request: passwords and headers, each for its own host only.

They count in this order: user and password of the address, an `Authorization` of IMG_HEADERS_FILE,
IMG_NETRC_FILE, and without that NETRC or `~/.netrc`. A redirect to another host is followed with
what a netrc file has for that one by its name, and nothing else.
"""

import re
from base64 import b64encode
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launcher.host.errors import InputMissing, SettingsError
from launcher.image.source.logins import Logins, origin

# A token, as RFC 9110 (section 5.6.2) has it, and a value without anything that could end it.
HEADER = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(?P<value>[\x21-\x7e][\t\x20-\x7e]*)"
)

# What the request itself is made of, or the connection, or what is the proxy's.
RESERVED = re.compile(
    r"range|if-.*|host|accept-encoding|connection|content-.*|transfer-encoding"
    r"|te|trailer|upgrade|expect|keep-alive|proxy-.*",  # codespell:ignore
    re.IGNORECASE,
)

# More than any server takes.
MOST = 64 << 10


class Credentials:
    """What there is for `url`, and for wherever it leads.

    :param home: the source, whose host the headers of IMG_HEADERS_FILE are for.
    :raise SettingsError: when a file's content is not what it should be.
    :raise InputMissing: when a file cannot be read.
    """

    def __init__(
        self,
        url: str,
        home: str = "",
        headers_file: Path | None = None,
        netrc_file: Path | None = None,
    ) -> None:
        self._own = origin(url)
        self._login = _login(url)
        self._home = origin(home)
        # A Secret that is mounted for both need not have both.
        if headers_file and netrc_file and headers_file.exists() != netrc_file.exists():
            headers_file = headers_file if headers_file.exists() else None
            netrc_file = None if headers_file else netrc_file
        self._headers = {}
        if headers_file:
            self._headers = headers(_text(headers_file, "IMG_HEADERS_FILE"), str(headers_file))
        if netrc_file:
            _text(netrc_file, "IMG_NETRC_FILE")
        self._logins = Logins(netrc_file, self._home, self._own)

    def of(self, url: str) -> dict[str, str]:
        """The headers that a request for `url` carries."""
        place = origin(url)
        sent = dict(self._headers) if place == self._home else {}
        if login := _login(url) or (self._login if place == self._own else None):
            sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
            sent["Authorization"] = _basic(*login)
        elif "authorization" not in map(str.lower, sent) and (login := self._logins.of(place)):
            sent["Authorization"] = _basic(*login)
        return sent


def bare(url: str) -> str:
    """`url` without user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def headers(text: str, path: str) -> dict[str, str]:
    """A line for each header, `Name: value`, as curl's `-H @file` takes them.

    :raise SettingsError: with one sentence for each line; without values, which are secret.
    """
    found: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r").rstrip(" \t")
        if not line:
            continue
        where = f"IMG_HEADERS_FILE={path!r}, line {number}, "
        match = HEADER.fullmatch(line)
        if not match:
            problems.append(f"{where}is not accepted; accepted: `Name: value` in ASCII")
        elif RESERVED.fullmatch(match["name"]):
            problems.append(f"{where}sets {match['name']}, which Berth sets itself; leave it out")
        elif match["name"].lower() in map(str.lower, found):
            problems.append(f"{where}sets {match['name']} once more; accepted: each header once")
        else:
            found[match["name"]] = match["value"]
    if problems:
        raise SettingsError(problems)
    return found


def _login(url: str) -> tuple[str, str] | None:
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _text(path: Path, setting: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as err:
        raise InputMissing(
            f"{setting}={str(path)!r} cannot be read: {err.strerror or err}",
            hint="the path is one in the container; is the Secret mounted, with that key?",
        ) from err
    if len(data) > MOST:
        raise SettingsError([f"{setting}={str(path)!r} is too large; accepted: 64 KiB or less"])
    return data.decode("utf-8", "replace")
