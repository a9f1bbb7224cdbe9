"""A qemu-img that would never end is ended, and it is told why; the pet is as good as before."""

import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.disk import export, overlay, whole
from launcher.disk.snapshot import listing, offline
from launcher.host import process
from launcher.host.errors import StorageError
from launcher.image.format import patience
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.qcow2 import check, content
from tests.storage.test_power_cuts import remove

NEVER = {"computing": "while :; do :; done", "waiting": "exec sleep 60"}


def exported(made: Volumes) -> None:
    found = whole.look(made.place, made.settings().shared_dir)
    out = made.folder / "out.qcow2"
    planned = export.plan(found, made.place, out, snapshot="", in_use=False, compress=False)
    export.run(planned, found, None)


def restored(made: Volumes) -> None:
    offline.restore(made.place, "early", "", None)


# What is done, the verb of qemu-img that never ends, and what is said of it.
DONE: list[tuple[Callable[[Volumes], object], str, str]] = [
    (lambda made: made.start(VM_DISK_SIZE="200M"), "resize", "growing the pet .* to 209715200"),
    (lambda made: offline.create(made.place, "late", "", None), "snapshot", "create of the snap"),
    (lambda made: offline.delete(made.place, "early", None), "snapshot", "delete of the snapshot"),
    (restored, "snapshot", "restore of the snapshot early"),
    (restored, "check", "checking the pet"),
    (exported, "measure", "exporting to"),
    (exported, "convert", "exporting to"),
]


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    return volumes(tmp_path / "first")


@pytest.fixture
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is all that a run of qemu-img may take, on a disk of this size."""
    monkeypatch.setattr(patience, "LEAST_SECONDS", 1)
    monkeypatch.setattr(patience, "SLOWEST", 1 << 60)
    monkeypatch.setattr(overlay, "patience", lambda *_, **__: 1.0)


def stuck(folder: Path, monkeypatch: pytest.MonkeyPatch, verb: str, how: str) -> None:
    """From now on that verb of qemu-img never ends."""
    folder.mkdir()
    real = subprocess.check_output(["which", "qemu-img"], text=True).strip()
    program = folder / "qemu-img"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = {verb} ] || exec {shlex.quote(real)} "$@"\n{NEVER[how]}\n'
    )
    program.chmod(0o755)
    path = f"{folder}:{process.ENVIRONMENT['PATH']}"
    monkeypatch.setitem(process.ENVIRONMENT, "PATH", path)


@pytest.mark.usefixtures("one_second")
@pytest.mark.parametrize(("do", "verb", "words"), DONE)
def test_what_takes_too_long_is_told(
    made: Volumes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    do: Callable[[Volumes], object],
    verb: str,
    words: str,
) -> None:
    offline.create(made.place, "early", "", None)
    before = content(made.disk)
    stuck(tmp_path / "stuck", monkeypatch, verb, "waiting")
    with pytest.raises(StorageError, match=rf"{words}.*: qemu-img {verb} took more than 1 s"):
        do(made)
    assert content(made.disk) == before
    assert [each.name for each in listing.look(made.place)] == ["early"]
    assert not list(made.folder.glob("out*"))
    check(made.disk)
    monkeypatch.undo()
    do(made)


@pytest.mark.usefixtures("one_second")
@pytest.mark.parametrize("verb", ["rebase", "compare"])
def test_move_that_takes_too_long_leaves_the_pet(
    made: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    made.image("two", "80M", at1M=6)
    made.base("two")
    before, names = content(made.disk), made.names()
    stuck(tmp_path / "stuck", monkeypatch, verb, "waiting")
    with pytest.raises(StorageError, match=rf"moving a copy of .*: qemu-img {verb} took more than"):
        made.move("two")
    assert (content(made.disk), made.names()) == (before, names)


@pytest.mark.usefixtures("one_second")
def test_new_pet_that_takes_too_long_is_made_by_the_next_start(
    made: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(made)
    stuck(tmp_path / "stuck", monkeypatch, "create", "waiting")
    with pytest.raises(
        StorageError, match=r"making the pet .*: qemu-img create took more than 1 s"
    ):
        made.start()
    assert not made.disk.exists()
    monkeypatch.undo()
    made.start()
    check(made.disk)


@pytest.mark.parametrize(
    ("do", "verb"), [(restored, "snapshot"), (exported, "measure"), (exported, "convert")]
)
def test_what_computes_too_long_is_told(
    made: Volumes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    do: Callable[[Volumes], object],
    verb: str,
) -> None:
    """The clock may be slower: a busy node's."""
    offline.create(made.place, "early", "", None)
    wrap = process.Limits.wrap
    monkeypatch.setattr(
        process.Limits, "wrap", lambda self, argv: wrap(self._replace(cpu_seconds=1), argv)
    )
    stuck(tmp_path / "stuck", monkeypatch, verb, "computing")
    with pytest.raises(StorageError, match=r"ended, as what takes more than \d+ s of CPU or 4 GiB"):
        do(made)
    check(made.disk)
