"""Who needs which base."""

import os
import shutil
from pathlib import Path

import pytest

from launcher.image.store import references
from launcher.image.store.references import Reference

DIGEST = "0" * 64
UUID = "6b1e8d1c-2f5e-4b8e-9d55-000000000001"
WEB = Reference(
    DIGEST, UUID, "web-0", "node", "shop", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
)


def names(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*"))


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert references.read(tmp_path, DIGEST) == ()
    assert not references.is_there(tmp_path, WEB)
    references.write(tmp_path, WEB, lasting=True)
    assert references.is_there(tmp_path, WEB)
    assert references.read(tmp_path, DIGEST) == (WEB,)
    place = f"sha256-{DIGEST}.pets"
    assert names(tmp_path) == [place, f"{place}/shop_web-0_{UUID}.json"]


def test_the_first_start_stays_the_first(tmp_path: Path) -> None:
    references.write(tmp_path, WEB)
    later = "2026-02-02T00:00:00Z"
    references.write(tmp_path, WEB._replace(host="other", first=later, last=later))
    assert references.read(tmp_path, DIGEST) == (WEB._replace(host="other", last=later),)


def test_one_that_is_damaged_still_is_one(tmp_path: Path) -> None:
    references.write(tmp_path, WEB)
    place = references.folder(tmp_path, DIGEST)
    for name, text in {"a.json": "", "b.json": "[]", "c.json": '{"name": "x"}', "odd": ""}.items():
        (place / name).write_text(text)
    found = references.read(tmp_path, DIGEST)
    assert {each.uuid for each in found} == {UUID, "a", "b", "c", "odd"}
    for each in found:
        references.remove(tmp_path, each)
    assert names(tmp_path) == []


def test_it_is_removed_with_its_folder(tmp_path: Path) -> None:
    other = WEB._replace(uuid="other")
    for each in (WEB, other):
        references.write(tmp_path, each)
    references.remove(tmp_path, WEB)
    assert references.read(tmp_path, DIGEST) == (other,)
    references.remove(tmp_path, other)
    references.remove(tmp_path, other)
    assert names(tmp_path) == []


def test_pets_with_one_uuid_are_told_apart(tmp_path: Path) -> None:
    """A copy of a volume has it, and so have all replicas whose metadata ask for it."""
    others = (WEB._replace(name="web-1"), WEB._replace(namespace="test"))
    for each in (WEB, *others):
        references.write(tmp_path, each)
        references.write(tmp_path, each._replace(digest="1" * 64))
    assert len(references.read(tmp_path, DIGEST)) == 3
    references.remove(tmp_path, WEB)
    assert set(references.read(tmp_path, DIGEST)) == set(others)
    assert references.needed_by(tmp_path, WEB) == {"1" * 64}
    for each in others:
        assert references.needed_by(tmp_path, each) == {DIGEST, "1" * 64}


def test_long_names_are_told_apart_too(tmp_path: Path) -> None:
    pets = [WEB._replace(name="a" * 199 + each, namespace="b" * 200) for each in "12"]
    for each in pets:
        references.write(tmp_path, each)
    assert references.read(tmp_path, DIGEST) == tuple(pets)
    references.remove(tmp_path, pets[0])
    assert references.read(tmp_path, DIGEST) == (pets[1],)


def test_one_whose_file_has_an_older_name_is_removed_too(tmp_path: Path) -> None:
    references.write(tmp_path, WEB)
    place = references.folder(tmp_path, DIGEST)
    (place / f"shop_web-0_{UUID}.json").rename(place / f"{UUID}.json")
    (found,) = references.read(tmp_path, DIGEST)
    references.remove(tmp_path, found)
    assert names(tmp_path) == []


@pytest.mark.parametrize("before", ["rename", "chmod"])
def test_a_folder_that_is_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    """By somebody who prunes: that there is no reference is what it makes sure of."""
    real = getattr(Path, before)

    def removed(self: Path, argument: object) -> object:
        monkeypatch.setattr(Path, before, real)
        references.folder(tmp_path, DIGEST).rmdir()
        return real(self, argument)

    monkeypatch.setattr(Path, before, removed)
    references.write(tmp_path, WEB)
    assert references.read(tmp_path, DIGEST) == (WEB,)


def test_a_volume_that_cannot_be_written_to(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    with pytest.raises(OSError, match="No such file"):
        references.write(tmp_path, WEB)


def test_it_lasts_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    rename, fsync = Path.rename, os.fsync

    def synced(fd: int) -> None:
        steps.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        fsync(fd)

    def renamed(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    references.write(tmp_path, WEB, lasting=True)
    part = f"sha256-{DIGEST}.shop_web-0_{UUID}.part"
    assert steps == [part, "rename", f"sha256-{DIGEST}.pets", tmp_path.name]
