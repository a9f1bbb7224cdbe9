"""The cache of guests: one name per recipe, whole images only, built once."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.guests import cache


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/guests"


@pytest.fixture
def recipe(tmp_path: Path) -> tuple[Path, Path]:
    """A module and a folder of plain files, as guests have them."""
    module = tmp_path / "recipe/guest.py"
    files = tmp_path / "recipe/guest"
    (files / "etc").mkdir(parents=True)
    module.write_text("one")
    (files / "init").write_text("two")
    (files / "etc/hosts").write_text("three")
    return module, files


def build(work: Path) -> Path:
    built = work / "disk.qcow2"
    built.write_text("whole")
    return built


def must_not_build(work: Path) -> Path:
    pytest.fail("built although the cache has it")


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_folder_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_CACHE", "/told")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.folder() == Path("/told")


def test_folder_by_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERTH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.folder() == Path("/xdg/berth")


def test_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_CACHE", "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache.folder() == Path("/home/me/.cache/berth")


def _edit(module: Path, files: Path) -> None:
    (files / "etc/hosts").write_text("four")


def _edit_module(module: Path, files: Path) -> None:
    module.write_text("four")


def _add(module: Path, files: Path) -> None:
    (files / "etc/passwd").write_text("")


def _rename(module: Path, files: Path) -> None:
    (files / "init").rename(files / "linuxrc")


def _move_a_byte(module: Path, files: Path) -> None:
    (files / "init").write_text("tw")
    (files / "etc/hosts").write_text("othree")


def _make_executable(module: Path, files: Path) -> None:
    (files / "init").chmod(0o755)


@pytest.mark.parametrize(
    "change", [_edit, _edit_module, _add, _rename, _move_a_byte, _make_executable]
)
def test_fingerprint_changes_when_recipe_does(
    recipe: tuple[Path, Path], change: Callable[[Path, Path], None]
) -> None:
    before = cache.fingerprint(recipe)
    change(*recipe)
    assert cache.fingerprint(recipe) != before


def test_fingerprint_stays_when_only_times_change(recipe: tuple[Path, Path]) -> None:
    before = cache.fingerprint(recipe)
    os.utime(recipe[0], (1, 1))
    assert cache.fingerprint(recipe) == before


def test_image_is_built_and_then_kept(recipe: tuple[Path, Path], folder: Path) -> None:
    image = cache.image("guest", recipe, build)
    assert image == folder / f"guest-{cache.fingerprint(recipe)}.qcow2"
    assert image.read_text() == "whole"
    assert image.stat().st_mode & 0o777 == 0o444
    assert leftovers(folder) == [image.name]
    assert cache.image("guest", recipe, must_not_build) == image


def test_image_is_built_again_when_recipe_changes(recipe: tuple[Path, Path]) -> None:
    first = cache.image("guest", recipe, build)
    recipe[0].write_text("changed")
    second = cache.image("guest", recipe, build)
    assert first != second
    assert first.exists()


def test_failed_build_leaves_nothing(recipe: tuple[Path, Path], folder: Path) -> None:
    def fail(work: Path) -> Path:
        (work / "disk.qcow2").write_text("half")
        raise RuntimeError("no more packages")

    with pytest.raises(RuntimeError, match="no more packages"):
        cache.image("guest", recipe, fail)
    assert leftovers(folder) == []
    assert cache.image("guest", recipe, build).read_text() == "whole"


def test_image_appears_only_when_whole(recipe: tuple[Path, Path], folder: Path) -> None:
    def look(work: Path) -> Path:
        built = build(work)
        assert not list(folder.glob("*.qcow2"))
        return built

    assert cache.image("guest", recipe, look).exists()


def test_folder_of_a_killed_builder_goes(recipe: tuple[Path, Path], folder: Path) -> None:
    dead = folder / f".guest-{cache.fingerprint(recipe)}.build-dead"
    (dead / "root").mkdir(parents=True)
    (dead / "root/disk.qcow2").write_text("half")
    image = cache.image("guest", recipe, build)
    assert leftovers(folder) == [image.name]


def test_two_builders_build_once(recipe: tuple[Path, Path]) -> None:
    builds: list[Path] = []
    waiting = threading.Event()

    def slow(work: Path) -> Path:
        builds.append(work)
        assert waiting.wait(10)
        return build(work)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(cache.image, "guest", recipe, slow)
        while not builds:
            time.sleep(0.001)
        second = pool.submit(cache.image, "guest", recipe, slow)
        # A second builder that does not wait starts building, or returns an image not there yet.
        time.sleep(0.05)
        assert not second.done()
        waiting.set()
        assert first.result(10) == second.result(10)
    assert len(builds) == 1


def test_images_that_nobody_uses_go(recipe: tuple[Path, Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    month_ago = time.time() - 30 * 24 * 3600
    for name in ("guest-old.qcow2", "other-old.qcow2", "guest-new.qcow2"):
        (folder / name).touch()
    for name in ("guest-old.qcow2", "other-old.qcow2"):
        os.utime(folder / name, (month_ago, month_ago))
    image = cache.image("guest", recipe, build)
    assert leftovers(folder) == sorted([image.name, "guest-new.qcow2", "other-old.qcow2"])


def test_use_keeps_an_image_young(recipe: tuple[Path, Path]) -> None:
    image = cache.image("guest", recipe, build)
    os.utime(image, (1, 1))
    cache.image("guest", recipe, must_not_build)
    assert time.time() - image.stat().st_mtime < 60
