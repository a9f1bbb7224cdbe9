"""Which of what is mounted is a disk, and in which order."""

import socket
from pathlib import Path

import pytest

from launcher.disk.extra import ExtraDisk, find
from launcher.host.errors import ImageRefused, InputMissing, StorageError

DISK = bytes(512)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    (tmp_path / "volumes").mkdir()
    return tmp_path / "volumes"


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    (tmp_path / "disks").mkdir()
    return tmp_path / "disks"


def names(found: tuple[ExtraDisk, ...]) -> list[str]:
    return [f"{each.path.parent.name}/{each.path.name}" for each in found]


def test_order_is_by_name_volumes_first(volumes: Path, disks: Path) -> None:
    for path in (disks / "b", disks / "a", volumes / "2.img", volumes / "10.img"):
        path.write_bytes(DISK)
    assert names(find(volumes, disks)) == [
        "volumes/10.img",
        "volumes/2.img",
        "disks/a",
        "disks/b",
    ]


def test_only_images_among_volumes_and_anything_among_disks(volumes: Path, disks: Path) -> None:
    for folder in (volumes, disks):
        for name in ("a.img", "b.qcow2", ".hidden.img"):
            (folder / name).write_bytes(DISK)
        (folder / "lost+found").mkdir()
        (folder / "folder.img").mkdir()
    assert names(find(volumes, disks)) == ["volumes/a.img", "disks/a.img", "disks/b.qcow2"]


def test_mount_of_a_config_map(disks: Path) -> None:
    (disks / "..2026_01_01").mkdir()
    (disks / "..2026_01_01/data").write_bytes(DISK)
    (disks / "..data").symlink_to("..2026_01_01")
    (disks / "data").symlink_to("..data/data")
    assert find(Path("/missing"), disks) == (
        ExtraDisk(disks / "data", is_block=False, size=len(DISK)),
    )


def test_missing_folders_hold_nothing(tmp_path: Path) -> None:
    assert find(tmp_path / "no", tmp_path / "nor") == ()


def test_link_to_nothing(volumes: Path, disks: Path) -> None:
    (disks / "a").symlink_to("/dev/missing")
    with pytest.raises(InputMissing, match="disks/a is a link to nothing"):
        find(volumes, disks)


def test_neither_file_nor_device(volumes: Path, disks: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(disks / "socket"))
        with pytest.raises(ImageRefused, match="disks/socket is neither"):
            find(volumes, disks)


def test_link_to_itself(volumes: Path, disks: Path) -> None:
    (disks / "a").symlink_to("a")
    with pytest.raises(StorageError, match="disks/a cannot be looked at"):
        find(volumes, disks)


@pytest.mark.parametrize("size", [0, 511])
def test_what_is_too_small_for_a_disk_is_told_with_its_size(
    volumes: Path, disks: Path, size: int
) -> None:
    (volumes / "data.img").write_bytes(bytes(size))
    with pytest.raises(ImageRefused) as error:
        find(volumes, disks)
    assert f"volumes/data.img has {size} bytes; a disk has 512 or more" in str(error.value)
    assert "truncate -s 10G data.img" in error.value.hint
