"""SHA256SUMS and SHA512SUMS files, as sha256sum writes them (GNU) and with `--tag` (BSD)."""

import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from launcher.host.errors import ImageRefused

Algorithm = Literal["sha256", "sha512"]

# Two spaces, or a space and an asterisk for "read as binary", between digest and name.
GNU = re.compile(r"([0-9a-fA-F]+) [ *]?(\S.*)")
BSD = re.compile(r"SHA(?:-?)(256|512) ?\((.+)\) ?= ?([0-9a-fA-F]+)", re.IGNORECASE)

DIGITS = {"sha256": 64, "sha512": 128}


def parse(text: str, algorithm: Algorithm) -> dict[str, set[str]]:
    """File names, without folders, and the digests listed for each; other lines are ignored.

    PGP signatures around the list, comments and digests of other algorithms are such lines.
    """
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if bsd := BSD.fullmatch(line.strip()):
            name, digest = bsd[2], bsd[3]
            fits = algorithm == f"sha{bsd[1]}"
        elif gnu := GNU.fullmatch(line.rstrip()):
            digest, name = gnu[1], gnu[2]
            fits = True
        else:
            continue
        if fits and len(digest) == DIGITS[algorithm]:
            found.setdefault(name.rpartition("/")[2], set()).add(digest.lower())
    return found


def file_name(source: str) -> str:
    """The name that a SUMS file would have for `source`, a URL or a path."""
    path = unquote(urlsplit(source).path) if "://" in source else source
    return path.rpartition("/")[2]


def look_up(text: str, algorithm: Algorithm, name: str, shown: str) -> str:
    """The digest that the SUMS file at `shown` lists for the file `name`.

    :raise ImageRefused: when it lists none, or several that differ.
    """
    listed = parse(text, algorithm)
    digests = listed.get(name, set())
    if len(digests) == 1:
        return next(iter(digests))
    if digests:
        raise ImageRefused(f"IMG_CHECKSUM={shown} lists {len(digests)} digests for {name}")
    if not listed:
        raise ImageRefused(f"IMG_CHECKSUM={shown} is no list of {algorithm} digests")
    near = ", ".join(sorted(listed)[:5]) + (", …" if len(listed) > 5 else "")
    raise ImageRefused(
        f"IMG_CHECKSUM={shown} does not list {name}",
        hint=f"it lists {near}; the name is the last part of IMG_SOURCE",
    )
