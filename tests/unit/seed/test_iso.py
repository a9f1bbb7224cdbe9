"""The image fits where it was promised to fit, and is filled in where QEMU looks."""

import os
import random
from io import BytesIO
from pathlib import Path

import pytest
from pycdlib import PyCdlib

from launcher.host.errors import StorageError
from launcher.seed import iso
from launcher.seed.tree import File, Tree

TREE = (
    File("openstack/latest/meta_data.json", b'{"name": "\xc3\xa9"}'),
    File("openstack/latest/user_data", bytes(range(256)) * 9),
    File("openstack/2012-08-10/meta_data.json", b"{}"),
)


def random_tree(seed: int) -> Tree:
    """Up to 40 files of up to 64 KiB in folders up to 4 deep."""
    rng = random.Random(seed)
    files = {}
    for number in range(rng.randint(0, 40)):
        folders = [f"folder-{rng.randint(0, 3)}" for _ in range(rng.randint(0, 4))]
        name = f"{number}-{'n' * rng.randint(1, 50)}.json"
        size = rng.choice([0, 1, 2047, 2048, 2049, rng.randint(0, 1 << 16)])
        files["/".join([*folders, name])] = rng.randbytes(size)
    return tuple(File(path, content) for path, content in files.items())


def read(image: bytes, path: str, *, joliet: bool) -> bytes:
    disc, out = PyCdlib(), BytesIO()
    disc.open_fp(BytesIO(image))
    if joliet:
        disc.get_file_from_iso_fp(out, joliet_path=path)
    else:
        disc.get_file_from_iso_fp(out, rr_path=path)
    disc.close()
    return out.getvalue()


@pytest.mark.parametrize("seed", range(40))
def test_capacity_is_enough(seed: int) -> None:
    tree = random_tree(seed)
    capacity, image = iso.capacity(tree), iso.image(tree, "config-2")
    assert len(image) <= capacity
    assert capacity % 2048 == 0
    # Nor is it a wild guess.
    assert capacity <= len(image) + (1 << 20)


def test_capacity_for_many_small_files() -> None:
    tree = tuple(File(f"{number}-{'n' * 50}", b"x") for number in range(400))
    assert len(iso.image(tree, "config-2")) <= iso.capacity(tree)


def test_capacity_of_a_large_file() -> None:
    tree = (File("user-data", bytes(1 << 20)),)
    assert len(iso.image(tree, "cidata")) <= iso.capacity(tree) <= (1 << 20) + (1 << 18)


@pytest.mark.parametrize("joliet", [False, True], ids=["Rock Ridge", "Joliet"])
def test_files_are_read_back(joliet: bool) -> None:
    image = iso.image(TREE, "config-2")
    for file in TREE:
        assert read(image, f"/{file.path}", joliet=joliet) == file.content


@pytest.mark.parametrize("label", ["config-2", "cidata"])
def test_label(label: str) -> None:
    # ECMA-119 8.4.7: the volume identifier is 32 bytes at byte 40 of the descriptor in sector 16.
    image = iso.image(TREE, label)
    assert image[16 * 2048 + 40 : 16 * 2048 + 72] == label.encode().ljust(32)


def test_file_is_filled_in_place(tmp_path: Path) -> None:
    path, capacity = tmp_path / "seed.iso", iso.capacity(TREE)
    iso.reserve(path, capacity)
    # As QEMU has it: opened before there is anything in it.
    opened = os.open(path, os.O_RDONLY)
    try:
        assert os.fstat(opened).st_mode & 0o777 == 0o600
        assert os.pread(opened, capacity + 1, 0) == bytes(capacity)
        iso.write(TREE, "config-2", path)
        seen = os.pread(opened, capacity + 1, 0)
    finally:
        os.close(opened)
    assert len(seen) == capacity
    assert read(seen, f"/{TREE[1].path}", joliet=True) == TREE[1].content


def test_nothing_is_left_of_the_last_drive(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(b"secret" * 1_000_000)
    path.chmod(0o644)
    iso.reserve(path, iso.capacity(TREE))
    iso.write(TREE, "config-2", path)
    assert path.stat().st_size == iso.capacity(TREE)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"secret" not in path.read_bytes()


def test_reserve_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"kept")
    (tmp_path / "seed.iso").symlink_to(tmp_path / "other")
    iso.reserve(tmp_path / "seed.iso", 2048)
    assert (tmp_path / "other").read_bytes() == b"kept"


def test_image_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    iso.reserve(path, 2048)
    with pytest.raises(RuntimeError, match="in a file of 2048"):
        iso.write(TREE, "config-2", path)
    assert path.read_bytes() == bytes(2048)


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "missing/seed.iso"
    with pytest.raises(StorageError, match=r"seed\.iso cannot be made"):
        iso.reserve(path, 2048)
    with pytest.raises(StorageError, match=r"seed\.iso cannot be written"):
        iso.write(TREE, "config-2", path)
