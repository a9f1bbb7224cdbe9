"""That a pet needs a base, where that cannot be written down."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.host.errors import StorageError
from launcher.life import needed
from tests.unit.life.needing import DIGEST, UUID, Pod, made

BASE_ONLY = ["disk.qcow2", f"sha256-{DIGEST}.json", f"sha256-{DIGEST}.qcow2"]


def refusing(code: int) -> Callable[..., None]:
    """What a system call does that fails with the error `code`."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return made(tmp_path)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_volume_that_others_look_after(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    base = pod.volume.adopt()
    monkeypatch.setattr(Path, "mkdir", refusing(code))
    pod.secure(pod.plan(base))
    pod.need(pod.plan(base, kept=True)).renew(base)
    assert pod.starts == [base]
    assert caplog.text.count(f"does not know of it: {os.strerror(code)}") == 2
    assert pod.volume.names() == BASE_ONLY


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "is full: 0 bytes were written, "), (errno.EDQUOT, "is full: "),
     (errno.EIO, "failed: Input/output error")],
)  # fmt: skip
def test_no_pet_is_made_that_pruning_would_not_know_of(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    base = pod.volume.adopt()
    monkeypatch.setattr(Path, "mkdir", refusing(code))
    with pytest.raises(StorageError, match=f"^that web-0 needs the base sha256-{DIGEST}") as caught:
        pod.secure(pod.plan(base))
    assert f"{pod.volume.path} {words}" in str(caught.value).replace("writing to ", "")
    assert pod.starts == []
    assert pod.volume.names() == BASE_ONLY
    assert list(pod.folder.iterdir()) == []


def test_what_cannot_be_written_to_the_end_leaves_nothing(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was made, and the reference did not get into it."""
    base = pod.volume.adopt()
    monkeypatch.setattr(Path, "rename", refusing(errno.ENOSPC))
    with pytest.raises(StorageError):
        pod.secure(pod.plan(base))
    assert pod.volume.names() == BASE_ONLY


def test_a_volume_without_modes(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    base = pod.volume.adopt()
    monkeypatch.setattr(Path, "chmod", refusing(errno.EOPNOTSUPP))
    pod.secure(pod.plan(base))
    assert pod.references() == [UUID]


def test_a_pet_that_is_there_starts_from_a_full_volume(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base = pod.volume.adopt()
    monkeypatch.setattr(Path, "mkdir", refusing(errno.ENOSPC))
    plan = pod.plan(base, kept=True)
    pod.secure(plan)
    pod.need(plan).renew(base)
    assert pod.starts == [base]
    assert caplog.text.count("does not know of it: No space left on device") == 2


@pytest.mark.parametrize("call", ["mkdir", "rename"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_no_pet_is_moved_to_where_pruning_would_not_know_of_it(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    base, settings, record = pod.move()
    with monkeypatch.context() as patch:
        patch.setattr(Path, call, refusing(code))
        with pytest.raises(StorageError), needed.second(settings, record, base):
            raise AssertionError("nobody knows of it")
    assert pod.volume.names() == BASE_ONLY
    with needed.second(settings, record, base):
        assert pod.references() == [UUID]


def test_a_pet_that_is_known_already_is_moved_on_a_full_volume(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, settings, record = pod.move()
    with needed.second(settings, record, base):
        pass
    monkeypatch.setattr(os, "open", refusing(errno.ENOSPC))
    with needed.second(settings, record, base):
        pass
    assert pod.references() == [UUID]


def test_a_pet_is_moved_to_a_base_that_others_look_after(
    pod: Pod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base, settings, record = pod.move()
    monkeypatch.setattr(Path, "mkdir", refusing(errno.EROFS))
    with needed.second(settings, record, base):
        pass
    assert "does not know of it: Read-only file system" in caplog.text
