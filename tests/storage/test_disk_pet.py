"""Pets made by real qemu-img on real file systems, and what a full or a read-only volume does."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.disk import holder, overlay
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.host import process
from launcher.host.errors import Busy, ImageRefused, RightMissing, StorageError
from launcher.image.base import Base
from tests.storage import tmpfs
from tests.storage.fuse import mounted
from tests.storage.pets import COMPLETE, MIB, names, start, stored
from tests.storage.qcow2 import check, holds, info, run


@pytest.fixture
def base(tmp_path: Path) -> Base:
    (tmp_path / "shared").mkdir()
    return stored(tmp_path / "shared")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "pet").mkdir()
    return tmp_path / "pet"


def test_new_pet(volume: Path, base: Base) -> None:
    made = start(volume, base, "100M")
    assert names(volume) == COMPLETE
    found = info(made.path)
    assert found["virtual-size"] == made.virtual_size == 100 * MIB
    assert found["full-backing-filename"] == str(base.path)
    assert found["backing-filename-format"] == "qcow2"
    assert found["cluster-size"] == 128 * 1024
    assert found["format-specific"]["data"]["extended-l2"] is True
    assert found["actual-size"] < MIB
    assert holds(made.path, 7, "1M", "1M")
    check(made.path)


class Timed:
    """`process.run`, which remembers how long each program was given."""

    def __init__(self) -> None:
        self.run = process.run
        self.given: list[float] = []

    def __call__(self, argv: list[str], *, timeout: float, **others: Any) -> process.Result:
        self.given.append(timeout)
        return self.run(argv, timeout=timeout, **others)


def tables(disk: Path) -> int:
    """Bytes of the disk that have a place in its file, whether there is anything there or not."""
    found = json.loads(run("qemu-img", "check", "--output=json", "-f", "qcow2", disk))
    return int(found.get("allocated-clusters", 0)) * 128 * 1024


def test_every_write_has_its_place_beforehand(volume: Path, base: Base) -> None:
    made = start(volume, base, "1G")
    assert tables(made.path) == 1 << 30
    grown = start(volume, base, "2G")
    assert tables(grown.path) == 2 << 30
    assert info(grown.path)["actual-size"] < MIB
    assert grown.path.stat().st_size > 2 << 30


def test_qemu_img_has_the_time_that_tables_take(
    volume: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "patience", lambda size, *, preallocate: 2.0 * preallocate)
    monkeypatch.setattr(process, "run", timed := Timed())
    start(volume, base, "1G")
    start(volume, base, "2G")
    assert timed.given == [2.0, 2.0]


def test_not_where_a_file_takes_as_much_as_it_is_long(tmp_path: Path, base: Base) -> None:
    """Or where nobody who copies it could tell."""
    (tmp_path / "below").mkdir()
    with mounted(tmp_path / "below", tmp_path / "above") as volume:
        made = start(volume, base, "1G")
        assert tables(made.path) == 0
        assert made.path.stat().st_size < MIB
        assert start(volume, base, "2G").path.stat().st_size < MIB


def test_size_of_the_base_is_the_default(volume: Path, base: Base) -> None:
    assert start(volume, base).virtual_size == base.virtual_size


def test_next_start_runs_no_program(
    volume: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = start(volume, base, "100M")
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("a program was run"))
    assert start(volume, base, "100M") == made
    assert start(volume, base) == made


def test_odd_size_is_the_same_at_the_next_start(volume: Path, base: Base) -> None:
    odd = str(100 * MIB + 1)
    made = start(volume, base, odd)
    assert info(made.path)["virtual-size"] == 100 * MIB + 512
    assert start(volume, base, odd) == made


def test_pet_grows_and_keeps_what_was_written(volume: Path, base: Base) -> None:
    made = start(volume, base)
    run("qemu-io", "-f", "qcow2", "-c", "write -P 9 8M 1M", made.path)
    grown = start(volume, base, "200M")
    assert (grown.record, grown.path) == (made.record, made.path)
    assert info(grown.path)["virtual-size"] == grown.virtual_size == 200 * MIB
    assert holds(grown.path, 9, "8M", "1M")
    assert holds(grown.path, 7, "1M", "1M")
    assert holds(grown.path, 0, "199M", "1M")
    check(grown.path)


@pytest.fixture
def held(volume: Path, base: Base) -> Iterator[Pet]:
    """A pet that another process has open, as a running VM has."""
    made = start(volume, base)
    argv = ["qemu-io", "-f", "qcow2", str(made.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        # The prompt comes once the image is open.
        assert holder.stdout.read(len("qemu-io>")) == b"qemu-io>"
        yield made
        holder.stdin.close()


@pytest.mark.parametrize("size", ["", "200M"], ids=["as it is", "to be grown"])
def test_pet_in_use_is_busy_and_its_holder_named(
    held: Pet, volume: Path, base: Base, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QEMU's own tool has it open; it locks what we look at."""
    monkeypatch.setattr(process, "run", lambda *_, **__: pytest.fail("a program was run"))
    with pytest.raises(Busy, match=r"has not written down who it is: .* is locked"):
        start(volume, base, size)
    ours = holder.ourselves("10.1.2.3", "default", "n1", "uid")
    with (
        holder.held(Place(volume, "web-3"), ours),
        pytest.raises(Busy, match=r"the pet web-3 is in use by .* on the node n1\) since 20"),
    ):
        start(volume, base, size)


def test_a_pet_that_is_taken_at_the_last_moment_is_not_grown(
    held: Pet, volume: Path, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "refuse_second", lambda _: None)
    ours = holder.ourselves("10.1.2.3", "", "", "")
    with (
        holder.held(Place(volume, "web-3"), ours),
        pytest.raises(Busy, match=r"in use by .*\(10.1.2.3, on this machine\) since 20"),
    ):
        start(volume, base, "200M")


def test_who_only_looks_at_it_is_not_in_the_way(volume: Path, base: Base) -> None:
    made = start(volume, base)
    argv = ["qemu-io", "-r", "-U", "-f", "qcow2", str(made.path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin
        assert reader.stdout
        assert reader.stdout.read(len("qemu-io>")) == b"qemu-io>"
        assert start(volume, base) == made
        reader.stdin.close()


def test_replaced_base_is_refused_by_its_digest(volume: Path, base: Base) -> None:
    start(volume, base)
    other = Base(base.path, "00" * 32, base.size, base.virtual_size, base.source)
    with pytest.raises(ImageRefused, match=base.digest):
        start(volume, other)
    assert names(volume) == COMPLETE


def test_cut_short_leftover_is_made_anew(volume: Path, base: Base) -> None:
    (volume / "web-3.qcow2.new").write_bytes(b"QFI\xfb")
    check(start(volume, base).path)
    assert names(volume) == COMPLETE


def test_leftover_is_not_written_through(volume: Path, base: Base) -> None:
    (volume / "web-3.qcow2.new").symlink_to(base.path)
    check(start(volume, base).path)
    assert holds(base.path, 7, "1M", "1M")
    assert base.path.stat().st_size == base.size


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A volume without the space that even an empty overlay takes."""
    folder = tmp_path / "small"
    folder.mkdir()
    with tmpfs.mounted(folder, "size=256k"):
        yield folder


def test_full_volume_leaves_nothing_and_is_told_with_sizes(small: Path, base: Base) -> None:
    with pytest.raises(
        StorageError, match=r"too little space in .*/small: .* of 256 KiB are free"
    ) as error:
        start(small, base)
    assert error.value.exit_code == os.EX_IOERR
    assert names(small) == []
    run("mount", "-o", "remount,size=8m", small)
    check(start(small, base).path)


def test_a_disk_grows_where_there_is_next_to_no_space(small: Path, base: Base) -> None:
    """Tables for all that is new would take more than that."""
    run("mount", "-o", "remount,size=8m", small)
    made = start(small, base, "100M")
    tmpfs.fill(small, but=MIB)
    grown = start(small, base, "50G")
    assert (grown.path, grown.virtual_size) == (made.path, 50 << 30)
    assert info(grown.path)["virtual-size"] == 50 << 30


def test_read_only_volume(small: Path, base: Base) -> None:
    run("mount", "-o", "remount,ro", small)
    with pytest.raises(RightMissing, match="PET_DIR=") as error:
        start(small, base)
    assert error.value.exit_code == os.EX_NOPERM
