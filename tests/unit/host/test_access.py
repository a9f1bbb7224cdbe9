"""Files that QEMU gets: nobody else may read them. Becoming another user takes a real machine, so
the rest is in tests/boot/test_users.py."""

import os
import stat
from pathlib import Path

import pytest

from launcher.host import access
from launcher.host.errors import StorageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_handed_over_is_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "password"
    before = os.umask(0)
    try:
        access.hand_over(b"secret", path, None)
    finally:
        os.umask(before)
    assert (path.read_bytes(), mode(path)) == (b"secret", 0o600)


def test_it_is_not_written_into_what_is_there(tmp_path: Path) -> None:
    # A container that is started again finds the last run's file, or somebody's link.
    path, other = tmp_path / "password", tmp_path / "other"
    other.write_bytes(b"other")
    other.chmod(0o644)
    path.symlink_to(other)
    access.hand_over(b"secret", path, None)
    assert other.read_bytes() == b"other"
    assert (path.read_bytes(), mode(path)) == (b"secret", 0o600)
    access.hand_over(b"new", path, None)
    assert path.read_bytes() == b"new"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written: No such file or directory"):
        access.hand_over(b"secret", tmp_path / "missing/password", None)


def test_whose_it_is_and_who_we_are(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    owner = tmp_path.stat()
    assert access.described(tmp_path).startswith(
        f"it belongs to {owner.st_uid}:{owner.st_gid} with mode 0750, and this is uid "
        f"{os.geteuid()} in groups "
    )
