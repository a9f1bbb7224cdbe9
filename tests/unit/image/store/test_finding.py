"""What was found out against a base, and who heeds it."""

import errno
import os

import pytest

from launcher.host.errors import ImageRefused, StorageError
from launcher.image.base import Base
from launcher.image.store import bases, finding, naming, record, verify
from launcher.image.store.finding import Finding
from launcher.image.store.record import Record
from launcher.image.wanted import wanted
from tests.unit.image.conftest import URL, Volume

FOUND = Finding("its sha256 is 0", "web-0", "2026-11-21T20:00:00Z", 0)
WORDS = "not what it was: its sha256 is 0, as web-0 found at 2026-11-21T20:00:00Z"


def known(volume: Volume, base: Base) -> Record:
    found = record.read(naming.record_path(volume.path, base.digest))
    assert found
    return found


def note(volume: Volume, base: Base, *, later: int = 0) -> None:
    mtime_ns = known(volume, base).mtime_ns + later
    finding.write(volume.path, base.digest, FOUND._replace(mtime_ns=mtime_ns))


def alter(base: Base, data: bytes = b"AN IMAGE") -> None:
    then = base.path.stat().st_mtime_ns
    base.path.chmod(0o644)
    base.path.write_bytes(data)
    os.utime(base.path, ns=(then, then))


def test_all_who_look_for_the_base_refuse_it(volume: Volume) -> None:
    base = volume.adopt()
    note(volume, base)
    with pytest.raises(ImageRefused, match=WORDS) as caught:
        bases.load(volume.path, base.digest)
    assert caught.value.hint.endswith("once it has its bytes again, `berth images --verify` lets "
                                      "it be used")  # fmt: skip
    asked = {"IMG_SOURCE": URL, "IMG_CHECKSUM": f"sha256:{base.digest}"}
    with pytest.raises(ImageRefused, match=WORDS):
        bases.find(volume.settings(**asked))
    with pytest.raises(ImageRefused, match=WORDS):
        bases.reuse(wanted(volume.settings(**asked)))
    with pytest.raises(ImageRefused, match=WORDS):
        volume.adopt()
    assert finding.path(volume.path, base.digest).exists()


def test_another_file_of_that_name_is_none_of_its_business(volume: Volume) -> None:
    base = volume.adopt()
    note(volume, base, later=10**9)
    assert bases.load(volume.path, base.digest) == base
    assert finding.read(volume.path, base.digest, known(volume, base)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"why": "it differs"}'])
def test_one_that_cannot_be_understood_counts(volume: Volume, text: str) -> None:
    base = volume.adopt()
    finding.path(volume.path, base.digest).write_text(text)
    with pytest.raises(ImageRefused, match="its bytes differ, as somebody found"):
        bases.load(volume.path, base.digest)


def test_verify_writes_it_down_and_takes_it_back(volume: Volume) -> None:
    base = volume.adopt()
    assert verify.problem(volume.path, base.digest) == ""
    names = volume.names()
    alter(base)
    why = verify.problem(volume.path, base.digest)
    assert why.startswith("its sha256 is ")
    found = finding.read(volume.path, base.digest, known(volume, base))
    assert found
    assert (found.why, found.host) == (why, os.uname().nodename)
    assert finding.path(volume.path, base.digest).stat().st_mode & 0o777 == 0o644
    alter(base, b"an image")
    with pytest.raises(ImageRefused, match=why):
        bases.load(volume.path, base.digest)
    assert verify.problem(volume.path, base.digest) == ""
    assert bases.load(volume.path, base.digest) == base
    assert volume.names() == names


def test_verify_reads_nothing_where_a_glance_is_enough(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves nothing: whoever starts sees that, too."""
    base = volume.adopt()
    monkeypatch.setattr(verify, "_sha256", None)
    os.utime(base.path, (1, 1))
    assert verify.problem(volume.path, base.digest).startswith("it was changed at 1970")
    naming.record_path(volume.path, base.digest).unlink()
    assert verify.problem(volume.path, base.digest) == "its record is missing or damaged"
    base.path.unlink()
    assert verify.problem(volume.path, base.digest) == "it is gone"
    assert not finding.path(volume.path, base.digest).exists()


@pytest.mark.parametrize("how", ["quick", "full"])
def test_a_start_reads_the_base_only_where_it_is_told_to(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    base, told = volume.adopt(), list[str]()
    settings = volume.settings(IMG_SOURCE=URL, IMG_VERIFY=how)
    verify.as_asked(settings, base, told.append)
    alter(base)
    if how == "quick":
        verify.as_asked(settings, base, told.append)
        assert told == []
        return
    assert told == [f"comparing {base.path.name} with its digest"]
    with pytest.raises(ImageRefused, match=f"{base.path} is not what it was: its sha256 is "):
        verify.as_asked(settings, base, told.append)


def test_a_base_that_cannot_be_read(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not known to be altered, so nothing is held against it."""
    base = volume.adopt()

    def fail(*_: object) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(verify, "_sha256", fail)
    settings = volume.settings(IMG_SOURCE=URL, IMG_VERIFY="full")
    with pytest.raises(StorageError, match=f"{base.path} cannot be read: Input/output error"):
        verify.as_asked(settings, base)
    assert bases.load(volume.path, base.digest) == base


def test_a_base_that_has_just_been_read_is_sound(volume: Volume) -> None:
    """Its record was lost, and it was fetched once more."""
    base = volume.adopt()
    note(volume, base)
    naming.record_path(volume.path, base.digest).unlink()
    assert volume.adopt() == base
    assert not finding.path(volume.path, base.digest).exists()
