"""QEMU's tools run as QEMU's own user, who is given each file of a pet that they need."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.disk import export, rebase, whole
from launcher.disk.snapshot import listing, offline
from launcher.host.account import Account
from tests.storage.pet_volumes import Volumes, volumes
from tests.storage.qcow2 import content, holds, write

QEMU = Account("qemu", 107, 107)


@pytest.fixture
def made() -> Iterator[Volumes]:
    """A pet of a QEMU that was root: nobody else may read any of its files. The folder is one that
    everybody can reach, unlike pytest's own."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory(prefix="berth-tests-") as name:
        Path(name).chmod(0o755)
        made = volumes(Path(name))
        made.image("two", at1M=6)
        close(made.disk, made.base("one").path, made.base("two").path)
        yield made


def close(*paths: Path) -> None:
    for path in paths:
        path.chmod(0o600)
        os.chown(path, 0, 0)


@pytest.mark.parametrize("verb", ["create", "delete", "restore"])
def test_snapshots(made: Volumes, verb: str) -> None:
    # As bases are; they are given to QEMU where it is started.
    made.base("one").path.chmod(0o444)
    if verb != "create":
        offline.create(made.place, "early", "", None)
        write(made.disk, 3, "8M")
    match verb:
        case "create":
            offline.create(made.place, "early", "", QEMU)
        case "delete":
            offline.delete(made.place, "early", QEMU)
        case "restore":
            offline.restore(made.place, "early", "", QEMU)
            assert holds(made.disk, 9, "8M")
    assert len(listing.read(made.place)) == (verb != "delete")
    assert_given(made.disk, 0o660)


def test_move_to_another_base(made: Volumes) -> None:
    before, to = content(made.disk), made.to("two")
    old, new = made.base("one"), made.base("two")
    assert rebase.move(made.place, old, new, to.source, QEMU)
    assert content(made.disk) == before
    assert_given(made.disk, 0o664)
    for path in (old.path, new.path, made.place.former):
        assert_given(path, 0o640)


def test_export(made: Volumes) -> None:
    found = whole.look(made.place, made.settings().shared_dir)
    target = made.folder / "out" / "web.qcow2"
    target.parent.mkdir(0o755)
    planned = export.plan(found, made.place, target, snapshot="", in_use=False, compress=False)
    export.run(planned, found, QEMU)
    assert content(target) == content(made.disk)
    assert_given(made.disk, 0o640)
    assert_given(made.base("one").path, 0o640)


def assert_given(path: Path, mode: int) -> None:
    """To QEMU's group; ours still."""
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, QEMU.gid, mode), path
