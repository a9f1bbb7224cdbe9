"""Which files are read to know whether they are still the same, and which need not be."""

import hashlib
import os
from pathlib import Path

import pytest

from launcher.image.source import stamp
from launcher.image.source.stamp import SECOND, Stamp, is_still

OLD, NEW = b"an image", b"AN IMAGE"
DIGEST = hashlib.sha256(OLD).hexdigest()

# Of builds that can be repeated: none at all, OSTree's, and a SOURCE_DATE_EPOCH.
BUILT = [0, SECOND, 1_700_000_000 * SECOND]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One for each time that a file is read to its end."""
    made: list[str] = []
    real = stamp._digest.__wrapped__

    def digest(path: Path, now: Stamp) -> str:
        made.append(path.name)
        return real(path, now)

    monkeypatch.setattr(stamp, "_digest", digest)
    return made


def write(path: Path, content: bytes, mtime_ns: int) -> Stamp:
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return Stamp.of(path.stat())


@pytest.mark.parametrize("mtime_ns", BUILT)
def test_another_file_of_the_same_size_and_time(
    tmp_path: Path, reads: list[str], mtime_ns: int
) -> None:
    path = tmp_path / "disk.img"
    known = write(path, OLD, mtime_ns)
    assert is_still(path, known, DIGEST)
    assert reads == []
    write(path, NEW, mtime_ns)
    assert not is_still(path, known, DIGEST)
    write(path, OLD, mtime_ns)
    assert is_still(path, known, DIGEST), "the same bytes on another node"
    assert len(reads) == 2


@pytest.mark.parametrize("field", ["ctime_ns", "inode", "device"])
def test_each_number_counts(tmp_path: Path, field: str) -> None:
    path = tmp_path / "disk.img"
    known = write(path, NEW, 0)
    assert is_still(path, known, DIGEST)
    assert not is_still(path, known._replace(**{field: 7 * SECOND + 7}), DIGEST)


@pytest.mark.parametrize("ctime_ns", BUILT)
def test_a_ctime_that_was_built_in_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ctime_ns: int
) -> None:
    """Of two squashfs images all may be the same, inode and device included."""
    real = Stamp.of
    monkeypatch.setattr(Stamp, "of", lambda status: real(status)._replace(ctime_ns=ctime_ns))
    path = tmp_path / "disk.img"
    known = write(path, OLD, ctime_ns)
    assert is_still(path, known, DIGEST)
    assert not is_still(path, known, hashlib.sha256(NEW).hexdigest())


@pytest.mark.parametrize("known", [None, Stamp(8, 0)])
def test_what_an_older_berth_noted_is_not_enough(
    tmp_path: Path, reads: list[str], known: Stamp | None
) -> None:
    path = tmp_path / "disk.img"
    write(path, OLD, 0)
    assert is_still(path, known, DIGEST)
    write(path, NEW, 0)
    assert not is_still(path, known, DIGEST)
    assert not is_still(path, known, "")
    assert len(reads) == 3


def test_a_size_or_a_time_that_differs_is_enough(tmp_path: Path, reads: list[str]) -> None:
    path = tmp_path / "disk.img"
    known = write(path, OLD, 0)
    write(path, OLD + b"!", 0)
    assert not is_still(path, known, DIGEST)
    write(path, OLD, 1)
    assert not is_still(path, known, DIGEST)
    assert reads == []


def test_a_start_reads_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "disk.img"
    write(path, OLD, 0)
    assert is_still(path, None, DIGEST)

    def never(*_: object) -> None:
        pytest.fail("it is read again")

    monkeypatch.setattr(hashlib, "file_digest", never)
    assert is_still(path, None, DIGEST)
    assert not is_still(path, None, "other")


def test_what_cannot_be_told_is_not_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is fetched, and that says what is wrong."""
    path = tmp_path / "disk.img"
    known = write(path, OLD, 0)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert not is_still(fifo, None, DIGEST), "and nobody waits for a writer"

    def changing(*_: object) -> "hashlib._Hash":
        write(path, NEW, 0)
        return hashlib.sha256(OLD)

    monkeypatch.setattr(hashlib, "file_digest", changing)
    assert not is_still(path, None, DIGEST), "it changed while it was read"

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    write(path, OLD, 0)
    monkeypatch.setattr(Path, "open", refuse)
    assert not is_still(path, known, DIGEST)
    path.unlink()
    assert is_still(path, known, DIGEST), "it served its purpose"
