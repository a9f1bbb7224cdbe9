"""The settings as a page and as a listing, both from the one table."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from launcher.settings.source import redact
from launcher.settings.table import GIB, MIB, Row, Settings, rows

HEADER = """\
# Settings

Berth's container is set by environment variables; the chart sets them from its values. An empty
variable counts as unset. All mistakes are reported at once, and the container ends with status 78
before it has changed anything. Sizes are in bytes or with K, M, G or T, powers of 1024.

This page is generated from `launcher/settings/table.py` by `./dev docs`.
"""


def markdown() -> str:
    """The reference page, docs/settings.md."""
    parts = [HEADER]
    for group, entries in groupby(rows().values(), key=lambda row: row.group):
        parts.append(f"\n## {group}\n\n| name | default | meaning |\n|---|---|---|\n")
        for row in entries:
            names = "`" + "`, `".join([row.name, *row.aliases]) + "`"
            default = row.default_text or f"{show(row.default) or 'none'}"
            parts.append(f"| {names} | {default} | {row.meaning} |\n")
    return "".join(parts)


def listing(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each setting's name and its value in force, as text, credentials removed."""
    for field, row in rows().items():
        yield row.name, text_of(row, getattr(settings, field))


def text_of(row: Row, value: Any) -> str:
    shown = show(value)
    return redact(shown) if row.is_address else shown


def show(value: Any) -> str:
    """A value as one would write it in the environment."""
    match value:
        case None | False | ():
            return ""
        case True:
            return "yes"
        case int() if value % GIB == 0:
            return f"{value // GIB}G"
        case int() if value % MIB == 0:
            return f"{value // MIB}M"
        case (str() as algorithm, str() as digest, str() as sums_url):
            return sums_url or f"{algorithm}:{digest}"
        case tuple():
            return ",".join(str(each) for each in value)
        case _:
            return str(value)
