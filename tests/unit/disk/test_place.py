"""Failures on the pet's volume become errors that say what to do."""

import errno
import os
from pathlib import Path

import pytest

from launcher.disk.place import explained
from launcher.host.errors import Busy, CommandFailed, LauncherError, RightMissing, StorageError

QEMU_LOCK = (
    "qemu-img: Could not open '/pet/a.qcow2': Failed to get \"write\" lock\n"
    "Is another process using the image [/pet/a.qcow2]?"
)


def said(words: str) -> CommandFailed:
    return CommandFailed(["qemu-img", "create"], 1, words)


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), StorageError, "too little space in "),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), StorageError, "too little space in "),
        (said("qemu-img: a: No space left on device"), StorageError, "too little space in "),
        (OSError(errno.EROFS, "Read-only file system"), RightMissing, "PET_DIR="),
        (PermissionError(errno.EACCES, "Permission denied"), RightMissing, "fsGroup"),
        (said("qemu-img: a: Permission denied"), RightMissing, "read-write"),
        (said(QEMU_LOCK), Busy, "another process has it open"),
        (OSError(errno.EIO, "Input/output error"), StorageError, "Input/output error"),
        (said("qemu-img: broken"), StorageError, "qemu-img: broken"),
    ],
)
def test_failure(failure: Exception, kind: type[LauncherError], words: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as error, explained("making the pet", tmp_path):
        raise failure
    assert str(error.value).startswith("making the pet: ")
    assert words in str(error.value)
    assert error.value.__cause__ is failure


def test_full_volume_is_told_with_sizes(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r" of [0-9.]+ [KMGT]iB are free"),
        explained("x", tmp_path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_explained_already_passes(tmp_path: Path) -> None:
    with pytest.raises(Busy, match=r"^once$"), explained("x", tmp_path):
        raise Busy("once")
