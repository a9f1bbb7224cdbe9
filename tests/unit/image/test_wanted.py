"""Which image the settings mean."""

import errno
from pathlib import Path

import pytest

from launcher.image.wanted import is_foreign, wanted
from tests.unit.image.conftest import URL, Volume


def test_a_url_gives_the_name(volume: Volume) -> None:
    want = wanted(volume.settings(IMG_SOURCE=URL))
    assert (want.source, want.setting, want.name) == (URL, "IMG_SOURCE", "disk.qcow2")
    assert want.shown == f"IMG_SOURCE={URL}"


def test_secrets_are_not_shown(volume: Volume) -> None:
    want = wanted(volume.settings(IMG_SOURCE="https://me:geheim@example.org/disk.qcow2?s=ig"))
    assert want.shown == "IMG_SOURCE=https://example.org/disk.qcow2?…"


def test_a_target_that_is_a_path_is_the_image_itself(volume: Volume) -> None:
    """So it was with the first Berth."""
    want = wanted(volume.settings(IMG_TARGET="/images/disk.qcow2"))
    assert (want.source, want.setting) == ("/images/disk.qcow2", "IMG_TARGET")
    assert want.name == "disk.qcow2"


def test_a_source_counts_more_than_a_target_that_is_a_path(volume: Volume) -> None:
    want = wanted(volume.settings(IMG_SOURCE=URL, IMG_TARGET="/images/mine.qcow2"))
    assert (want.source, want.setting, want.name) == (URL, "IMG_SOURCE", "mine.qcow2")


def test_a_name_alone(volume: Volume) -> None:
    want = wanted(volume.settings(IMG_TARGET="mine"))
    assert (want.source, want.name) == (None, "mine")


def test_a_file_somebody_put_on_the_shared_volume_is_a_source(volume: Volume) -> None:
    place = volume.path / "mine.qcow2"
    place.write_bytes(b"an image")
    for environ in (
        {"IMG_TARGET": "mine.qcow2"},
        {"IMG_TARGET": str(place)},
        {"IMG_SOURCE": str(place)},
        {"IMG_SOURCE": str(place), "IMG_TARGET": "mine.qcow2"},
    ):
        want = wanted(volume.settings(**environ))
        assert (want.source, want.name) == (str(place), "mine.qcow2.base"), environ


def test_the_name_of_a_base_is_none(volume: Volume) -> None:
    volume.adopt()
    assert wanted(volume.settings(IMG_TARGET="disk.qcow2")).source is None


def test_a_name_that_is_removed_while_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path / "disk.qcow2"
    name.symlink_to(f"sha256-{'a' * 64}.qcow2")
    assert not is_foreign(name)

    def gone(path: Path) -> Path:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "readlink", gone)
    assert not is_foreign(name)
