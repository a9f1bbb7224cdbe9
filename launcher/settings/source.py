"""URLs and paths that an image comes from: which are well-formed, and how they are shown."""

import re
from pathlib import Path

# Strict where laxness would leak: in https://me:a/b@host/x an unescaped slash ends the host, and
# half of the password would pass for a path.
URL = re.compile(
    r"(?P<scheme>https?)://([^/?#\s]*@)?"
    r"(?P<host>([^/?#@:\[\]\s]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?)"
    r"(?P<path>(/[^?#\s]*)?)(?P<query>([?#]\S*)?)"
)

# A file's name has 255 bytes, and those of a base and a pet get suffixes.
LONGEST_NAME = 200


def is_path(source: str) -> bool:
    """Whether a source or target is the full path of an image in the container."""
    return re.fullmatch(r"/\S.*", source) is not None


def target_of(source: str) -> str:
    """A name for the base: the last part of a URL's or file's path; empty if there is none.

    What IMG_TARGET does not accept becomes `_`, so that a source alone is enough.
    """
    url = URL.fullmatch(source)
    name = Path(url["path"] if url else source).name
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip("._+-")[:LONGEST_NAME]


def redact(source: str) -> str:
    """`source` without what may be secret in a URL: user, password, query and fragment."""
    if is_path(source):
        return source
    url = URL.fullmatch(source)
    if not url:
        if not re.search(r"[@?#]", source):
            return source
        # Where a malformed one keeps its secrets cannot be told.
        scheme = re.match(r"[A-Za-z]+://", source)
        return f"{scheme[0]}…" if scheme else "…"
    _, at, path = url["path"].rpartition("@")
    # A password with an unescaped slash in it would look like this, too.
    place = f"…@{path}" if at else url["host"] + path
    return f"{url['scheme']}://{place}" + ("?…" if url["query"] else "")
