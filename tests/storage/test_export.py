"""A pet's disk written into a file that stands alone."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.disk import export, whole
from launcher.disk import target as targets
from launcher.disk.snapshot import offline
from launcher.host import access
from launcher.host.errors import (
    AlreadyThere,
    Busy,
    ImageRefused,
    InputMissing,
    RightMissing,
    StorageError,
)
from tests.storage import tmpfs
from tests.storage.pet_volumes import MIB, Volumes, volumes
from tests.storage.qcow2 import check, content, holds, info, run, write


@pytest.fixture
def made(tmp_path: Path) -> Volumes:
    return volumes(tmp_path)


def exported(
    made: Volumes,
    target: Path,
    snapshot: str = "",
    *,
    in_use: bool = False,
    compress: bool = False,
) -> int:
    found = whole.look(made.place, made.settings().shared_dir)
    planned = export.plan(
        found, made.place, target, snapshot=snapshot, in_use=in_use, compress=compress
    )
    return export.run(planned, found, None)


def test_export_stands_alone_and_reads_the_same(made: Volumes, tmp_path: Path) -> None:
    target = tmp_path / "out.qcow2"
    size = exported(made, target)
    found = info(target)
    assert "backing-filename" not in found
    assert (found["format"], found["virtual-size"]) == ("qcow2", 100 * MIB)
    assert size == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o644
    assert content(target) == content(made.disk)
    check(target)
    assert not list(tmp_path.glob("*.part"))


def test_export_of_a_snapshot(made: Volumes, tmp_path: Path) -> None:
    offline.create(made.place, "early", "", None)
    write(made.disk, 3, "8M")
    exported(made, tmp_path / "early.qcow2", "early")
    assert holds(tmp_path / "early.qcow2", 9, "8M")
    assert "snapshots" not in info(tmp_path / "early.qcow2")
    exported(made, tmp_path / "late.qcow2")
    assert holds(tmp_path / "late.qcow2", 3, "8M")


@pytest.mark.parametrize("compress", [False, True])
def test_snapshot_of_a_disk_that_has_grown_has_its_size_of_then(
    made: Volumes, tmp_path: Path, compress: bool
) -> None:
    write(made.disk, 8, "99M")
    offline.create(made.place, "early", "", None)
    before = content(made.disk)
    made.start(VM_DISK_SIZE="300M")
    write(made.disk, 3, "98M", "4M")
    exported(made, tmp_path / "early.qcow2", "early", compress=compress)
    assert info(tmp_path / "early.qcow2")["virtual-size"] == 100 * MIB
    assert content(tmp_path / "early.qcow2") == before
    check(tmp_path / "early.qcow2")


def test_snapshot_of_a_disk_that_was_larger_is_not_cut_short(made: Volumes, tmp_path: Path) -> None:
    offline.create(made.place, "small", "", None)
    made.start(VM_DISK_SIZE="200M")
    write(made.disk, 3, "150M")
    offline.create(made.place, "large", "", None)
    before = content(made.disk)
    offline.restore(made.place, "small", "", None)
    with pytest.raises(ImageRefused, match=r"209715200 bytes.* has 104857600 by now") as caught:
        exported(made, tmp_path / "large.qcow2", "large")
    assert "VM_DISK_SIZE=209715200" in caught.value.hint
    assert not list(tmp_path.glob("large*"))
    made.start(VM_DISK_SIZE="209715200")
    exported(made, tmp_path / "large.qcow2", "large")
    assert content(tmp_path / "large.qcow2") == before


def test_export_of_another_size_is_not_named(
    made: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "convert_argv", short)
    with pytest.raises(
        ImageRefused, match=r"came out as a disk of 1048576 bytes instead of 104857600"
    ):
        exported(made, tmp_path / "out.qcow2")
    assert not list(tmp_path.glob("out*"))


def short(_: export.Export, part: Path) -> list[str]:
    return ["qemu-img", "create", "-q", "-f", "qcow2", str(part), "1M"]


def test_compressed_export_is_smaller(made: Volumes, tmp_path: Path) -> None:
    plain = exported(made, tmp_path / "plain.qcow2")
    packed = exported(made, tmp_path / "packed.qcow2", compress=True)
    assert packed < plain / 2
    assert content(tmp_path / "packed.qcow2") == content(made.disk)


@pytest.fixture
def in_use(made: Volumes) -> Iterator[Volumes]:
    """With a snapshot, and written to since by who still has it open."""
    offline.create(made.place, "early", "", None)
    argv = ["qemu-io", "-f", "qcow2", str(made.disk)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdin.write(b"write -P 3 8M 1M\n")
        holder.stdin.flush()
        while b"wrote" not in holder.stdout.readline():
            pass
        yield made
        holder.stdin.close()


def test_snapshot_of_a_disk_in_use(in_use: Volumes, tmp_path: Path) -> None:
    exported(in_use, tmp_path / "early.qcow2", "early", in_use=True)
    assert holds(tmp_path / "early.qcow2", 9, "8M")


def test_disk_in_use_as_it_is(in_use: Volumes, tmp_path: Path) -> None:
    with pytest.raises(Busy, match="another process writes"):
        exported(in_use, tmp_path / "now.qcow2")
    assert not list(tmp_path.glob("now*"))


def test_targets_that_are_refused(made: Volumes, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    for target, kind, words in (
        (there, AlreadyThere, "nothing is overwritten"),
        (tmp_path / "gone" / "x", InputMissing, "is not there"),
        (Path("x.qcow2"), InputMissing, "no full path"),
    ):
        with pytest.raises(kind, match=words):
            exported(made, target)
    assert there.read_text() == "mine"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    with tmpfs.mounted(folder, "size=4m"):
        yield folder


def test_folder_that_may_not_be_written_to(
    made: Volumes, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("mount", "-o", "remount,ro", small)
    words = rf"{small} may not be written to: it belongs to 0:0"
    with pytest.raises(RightMissing, match=words):
        targets.check(small / "out.qcow2")
    # A server may refuse what looked allowed.
    monkeypatch.setattr(access, "may", lambda *_: True)
    with pytest.raises(RightMissing, match=words) as caught:
        exported(made, small / "out.qcow2")
    assert "read-write" in caught.value.hint


def test_export_that_is_damaged_is_not_named(
    made: Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = made.image("broken", "100M", at1M=1)
    with broken.open("r+b") as file:
        # The first block of counts.
        file.seek(2 << 16)
        file.write(bytes(1 << 16))
    monkeypatch.setattr(export, "convert_argv", lambda _, part: ["cp", str(broken), str(part)])
    with pytest.raises(ImageRefused, match=r"the export .* is damaged") as caught:
        exported(made, tmp_path / "out.qcow2")
    assert "may be faulty" in caught.value.hint
    assert not list(tmp_path.glob("out*"))


def test_target_without_space_is_told_before(made: Volumes, small: Path) -> None:
    write(made.disk, 5, "30M", "8M")
    with pytest.raises(StorageError, match=r"too little space in .*/small: .* are needed"):
        exported(made, small / "out.qcow2")
    assert list(small.iterdir()) == []


def test_target_that_runs_full_leaves_nothing(
    made: Volumes, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(made.disk, 5, "30M", "8M")
    monkeypatch.setattr(export, "available", lambda _: None)
    with pytest.raises(StorageError, match="its volume is full"):
        exported(made, small / "out.qcow2")
    assert list(small.iterdir()) == []
