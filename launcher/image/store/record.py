"""What is written down beside a base: what it was when it was proved, and where it came from.

One JSON object in `sha256-<hex>.json`. Nothing secret is in it: an address that may hold secrets
is kept without them, and known again by its digest.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from launcher.image.source.stamp import Stamp
from launcher.settings.parse import Checksum
from launcher.settings.source import redact

FORMAT = 1

# Addresses that change at each fetch (signed URLs do) must not make a record grow without end.
MOST_ORIGINS = 32


class Address(NamedTuple):
    """A URL or a path as it may be shown; `sha256` is of the whole, if something was left out."""

    shown: str
    sha256: str = ""

    @classmethod
    def of(cls, source: str) -> Self:
        shown = redact(source)
        return cls(shown, "" if shown == source else _sha256(source))

    def names(self, source: str) -> bool:
        """Whether `source` is the address that this was made of."""
        if not self.sha256:
            return self.shown == source
        return redact(source) == self.shown and _sha256(source) == self.sha256


class Origin(NamedTuple):
    """One fetch that ended in this base.

    `digests`: algorithm to hex digest, of the bytes as they arrived, packed or not. `sums`: the
    SUMS file that vouched for them. `fetched`: RFC 3339. `stamp` is of the source where that is a
    file; older Berths wrote none down of a file whose time of change was 0.
    """

    address: Address
    digests: Mapping[str, str]
    sums: Address | None
    fetched: str
    stamp: Stamp | None = None

    def satisfies(self, checksum: Checksum | None) -> bool:
        """Whether `checksum` was verified when this was fetched, or is known to hold."""
        if checksum is None:
            return True
        if checksum.digest:
            return self.digests.get(checksum.algorithm) == checksum.digest
        return self.sums is not None and self.sums.names(checksum.sums_url)


class Record(NamedTuple):
    """`size` and `mtime_ns` are of the base's file, `virtual_size` of the disk inside; bytes."""

    digest: str
    size: int
    mtime_ns: int
    virtual_size: int
    origins: tuple[Origin, ...]

    def to_json(self) -> str:
        origins = []
        for each in self.origins:
            entry: dict[str, Any] = {"source": each.address.shown, "fetched": each.fetched}
            if each.address.sha256:
                entry["source_sha256"] = each.address.sha256
            entry["arrived"] = dict(each.digests)
            if each.sums:
                entry["sums"] = each.sums.shown
            if each.sums and each.sums.sha256:
                entry["sums_sha256"] = each.sums.sha256
            if each.stamp:
                entry |= each.stamp._asdict()
            origins.append(entry)
        whole = {
            "format": FORMAT,
            "sha256": self.digest,
            "size": self.size,
            "mtime_ns": self.mtime_ns,
            "virtual_size": self.virtual_size,
            "origins": origins,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """:raise ValueError: when `text` is not such a record."""
        try:
            whole = json.loads(text)
            if whole["format"] != FORMAT:
                raise ValueError(f"its format is {whole['format']}; {FORMAT} is known")
            if not whole["origins"]:
                raise ValueError("it names no origin")
            return cls(
                digest=whole["sha256"],
                size=int(whole["size"]),
                mtime_ns=int(whole["mtime_ns"]),
                virtual_size=int(whole["virtual_size"]),
                origins=tuple(_origin(each) for each in whole["origins"]),
            )
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"{err!r} while reading it") from err


def _origin(entry: Mapping[str, Any]) -> Origin:
    return Origin(
        address=Address(entry["source"], entry.get("source_sha256", "")),
        digests=dict(entry["arrived"]),
        sums=Address(entry["sums"], entry.get("sums_sha256", "")) if "sums" in entry else None,
        fetched=entry["fetched"],
        stamp=_stamp(entry) if "mtime_ns" in entry else None,
    )


def _stamp(entry: Mapping[str, Any]) -> Stamp:
    return Stamp(**{name: int(entry[name]) for name in Stamp._fields if name in entry})


def read(path: Path) -> Record | None:
    """The record at `path`, None where there is none that can be understood."""
    try:
        return Record.from_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
