"""A shared volume that is full: no pet stands on it that pruning would not know of."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.host.errors import StorageError
from launcher.image.store import prune, references
from tests.storage import tmpfs
from tests.storage.pet_volumes import Volumes
from tests.storage.qcow2 import content

FILES = 64


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Volumes]:
    """Two bases on a shared volume of 8 MiB and 64 files, and no pet."""
    made = Volumes(tmp_path, tmp_path)
    shared = made.common / "shared"
    for each in (shared, made.place.folder):
        each.mkdir()
    with tmpfs.mounted(shared, f"size=8m,nr_inodes={FILES}"):
        for name, pattern in (("one", 7), ("two", 6)):
            made.image(name, at1M=pattern)
            made.base(name)
        yield made


def crowded(shared: Path) -> None:
    """There is space, and no file can be made."""
    with suppress(OSError):
        for number in range(FILES):
            (shared / f"fill{number}").touch()


def crowded_but_for_one(shared: Path) -> None:
    """The reference can be written, and the folder that it belongs into cannot be made."""
    crowded(shared)
    (shared / "fill0").unlink()


def emptied(shared: Path) -> None:
    for each in shared.glob("fill*"):
        each.unlink()


def names(shared: Path) -> list[str]:
    return sorted(each.name for each in shared.iterdir())


@pytest.mark.parametrize("fill", [tmpfs.fill, crowded, crowded_but_for_one])
def test_no_pet_is_made(made: Volumes, fill: Callable[[Path], None]) -> None:
    shared, digest = made.common / "shared", made.base("one").digest
    fill(shared)
    before = names(shared)
    with pytest.raises(StorageError) as caught:
        made.start()
    text = str(caught.value)
    assert text.startswith(f"that web-3 needs the base sha256-{digest} cannot be written down")
    assert f"{shared} is full: 0 bytes were written, " in text
    assert "bytes are needed, " in text
    assert "are available (hint: the shared volume has to grow, or bases that no pet" in text
    assert fill is not tmpfs.fill or "needed, 0 bytes are available" in text
    assert caught.value.exit_code == 74
    assert made.names() == []
    assert names(shared) == before
    # What an administrator does then harms nobody.
    assert prune.base(shared, digest)
    emptied(shared)
    made.start()
    assert not prune.base(shared, made.base("one").digest)


def test_a_pet_that_is_there_starts(made: Volumes, caplog: pytest.LogCaptureFixture) -> None:
    """Be it one that nobody knows of yet."""
    made.start()
    shared, digest = made.common / "shared", made.base("one").digest
    (known,) = references.read(shared, digest)
    references.remove(shared, known)
    tmpfs.fill(shared)
    before = content(made.disk)
    made.start()
    assert content(made.disk) == before
    assert "does not know of it: No space left on device" in caplog.text


def test_no_pet_is_moved(made: Volumes) -> None:
    made.start()
    shared, digest = made.common / "shared", made.base("two").digest
    tmpfs.fill(shared)
    before, there = content(made.disk), made.names()
    with pytest.raises(StorageError, match="cannot be written down"):
        made.move("two")
    assert (content(made.disk), made.names()) == (before, there)
    assert prune.base(shared, digest)
    emptied(shared)
    made.move("two")
    assert not prune.base(shared, made.base("two").digest)
