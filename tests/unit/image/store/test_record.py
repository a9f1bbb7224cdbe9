"""Records: nothing secret in them, and everything that `find` has to know."""

import json
from pathlib import Path

import pytest

from launcher.image.source.stamp import Stamp
from launcher.image.store import record
from launcher.image.store.record import Address, Origin, Record
from launcher.settings.parse import Checksum

A, B = "a" * 64, "b" * 64
STAMP = Stamp(10, 0, 12, 1 << 63, 13)
SUMS = "https://example.org/SHA256SUMS"

PLAIN = "https://example.org/disk.qcow2"
SECRET = "https://me:geheim@example.org/disk.qcow2?sig=heimlich"


def origin(source: str = PLAIN, sums: str | None = None) -> Origin:
    return Origin(
        address=Address.of(source),
        digests={"sha256": A},
        sums=Address.of(sums) if sums else None,
        fetched="2026-11-20T20:00:00Z",
    )


def test_an_address_knows_its_source_again() -> None:
    assert Address.of(PLAIN).names(PLAIN)
    assert Address.of(SECRET).names(SECRET)
    assert Address.of("/images/disk.qcow2").names("/images/disk.qcow2")


@pytest.mark.parametrize(
    "other",
    [
        PLAIN,
        SECRET + "x",
        SECRET.replace("geheim", "anders"),
        SECRET.replace("example.org", "example.net"),
        "https://example.org/disk.qcow2?…",
    ],
)
def test_an_address_with_secrets_is_no_other(other: str) -> None:
    assert not Address.of(SECRET).names(other)
    assert not Address.of(other).names(SECRET)


def test_nothing_secret_is_written_down() -> None:
    whole = Record(A, 1, 2, 3, (origin(SECRET, sums=SECRET + "SHA256SUMS"),)).to_json()
    assert "geheim" not in whole
    assert "heimlich" not in whole
    assert "https://example.org/disk.qcow2" in whole


def test_a_record_comes_back_as_it_was() -> None:
    local = Origin(Address.of("/x.qcow2"), {"sha256": A, "sha512": "c"}, None, "2026", STAMP)
    whole = Record(A, 1, 2, 3, (origin(SECRET, SUMS), local, origin()))
    assert Record.from_json(whole.to_json()) == whole


def test_less_was_noted_of_a_file_once() -> None:
    whole = json.loads(Record(A, 1, 2, 3, (origin("/x")._replace(stamp=STAMP),)).to_json())
    for name in ("ctime_ns", "inode", "device"):
        del whole["origins"][0][name]
    (read,) = Record.from_json(json.dumps(whole)).origins
    assert read.stamp == Stamp(10, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "sha256": "aa"}',
        Record(A, 1, 2, 3, (origin(),)).to_json()[:-9],
        Record(A, 1, 2, 3, ()).to_json(),
        Record(A, 1, 2, 3, (origin(),)).to_json().replace('"size": 1', '"size": "many"'),
        Record(A, 1, 2, 3, (origin(),)).to_json().replace('"arrived"', '"departed"'),
    ],
)
def test_a_record_that_cannot_be_understood_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    assert record.read(path) is None
    assert record.read(tmp_path / "missing.json") is None
    with pytest.raises(ValueError):  # noqa: PT011
        Record.from_json(text)


def test_a_later_format_is_said_to_be_one() -> None:
    later = json.loads(Record(A, 1, 2, 3, (origin(),)).to_json()) | {"format": 9}
    with pytest.raises(ValueError, match="its format is 9; 1 is known"):
        Record.from_json(json.dumps(later))


@pytest.mark.parametrize(
    ("checksum", "holds"),
    [
        (None, True),
        (Checksum("sha256", digest=A), True),
        (Checksum("sha256", digest=B), False),
        (Checksum("sha512", digest=A), False),
        (Checksum("sha256", sums_url=SUMS), True),
        (Checksum("sha256", sums_url=SUMS + "?x"), False),
    ],
)
def test_which_checksums_are_known_to_hold(checksum: Checksum | None, holds: bool) -> None:
    assert origin(sums=SUMS).satisfies(checksum) is holds


def test_without_a_list_none_vouched() -> None:
    assert not origin().satisfies(Checksum("sha256", sums_url=SUMS))
