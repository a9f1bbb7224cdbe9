"""Images at a path that others put there, an image volume of Kubernetes for one: a new pet never
gets the image that was there before."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from launcher.image.source import stamp
from tests.storage.conftest import MIB, Volume
from tests.storage.outcomes import disk

# None at all, and what a build that can be repeated may have given to all files.
BUILT = [0, 1_700_000_000 * 10**9]


def image(seed: int) -> bytes:
    made = bytearray(random.Random(seed).randbytes(MIB))
    made[510:512] = b"\x55\xaa"
    return bytes(made)


def put(path: Path, content: bytes, mtime_ns: int) -> None:
    """Another file, as another mount has there."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    os.utime(new, ns=(mtime_ns, mtime_ns))
    new.replace(path)


@pytest.mark.parametrize("mtime_ns", BUILT)
@pytest.mark.parametrize("noted", ["all", "less", "nothing"])
def test_another_image_with_the_same_size_and_time(
    volume: Volume, tmp_path: Path, mtime_ns: int, noted: str
) -> None:
    source = tmp_path / "disk.img"
    one, two = image(1), image(2)
    put(source, one, mtime_ns)
    first = volume.ensure(source)
    # As older Berths did.
    record = first.path.with_suffix(".json")
    whole = json.loads(record.read_text())
    gone = {"all": (), "less": ("ctime_ns", "inode", "device"), "nothing": stamp.Stamp._fields}
    for name in gone[noted]:
        del whole["origins"][0][name]
    record.write_text(json.dumps(whole))
    put(source, two, mtime_ns)
    second = volume.ensure(source)
    assert disk(second.path) == two
    put(source, one, mtime_ns)
    assert volume.ensure(source) == first
    assert disk(first.path) == one


@pytest.mark.parametrize("mtime_ns", BUILT)
def test_the_same_image_is_not_fetched_again(
    volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mtime_ns: int
) -> None:
    source = tmp_path / "disk.img"
    put(source, image(1), mtime_ns)
    base = volume.ensure(source)

    def never(*_: object) -> None:
        pytest.fail("it is read")

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", never)
        assert volume.ensure(source) == base
    record = base.path.with_suffix(".json")
    before = record.stat().st_ino
    put(source, image(1), mtime_ns)
    assert volume.ensure(source) == base, "read, as on another node"
    assert record.stat().st_ino == before
