"""The command lines by which a pet's disk is changed and read."""

from pathlib import Path

import pytest

from launcher.disk import export, rebase
from launcher.disk.export import Export
from launcher.disk.place import Place
from launcher.disk.snapshot import offline
from tests.unit.disk.sample import base

PLACE = Place(Path("/pet"), "web-3")
GIB = 1 << 30
EXPORT = Export(
    PLACE, Path("/out/x.qcow2"), "", GIB, GIB, in_use=False, direct=True, compress=False
)


@pytest.mark.parametrize(("verb", "flag"), [("create", "-c"), ("restore", "-a"), ("delete", "-d")])
def test_snapshots(verb: str, flag: str) -> None:
    assert offline.argv(PLACE, verb, "early") == [
        *("qemu-img", "snapshot", "-q", flag, "early"),
        *("--image-opts", "driver=qcow2,file.driver=file,file.filename=/pet/web-3.qcow2"),
    ]


def test_commas_in_a_folder_s_name() -> None:
    argv = offline.argv(Place(Path("/a,b"), "web-3"), "create", "early")
    assert argv[-1].endswith("file.filename=/a,,b/web-3.qcow2")


def test_rebase_is_the_safe_one() -> None:
    argv = rebase.rebase_argv(PLACE, base())
    assert "-u" not in argv
    assert argv[3:] == ["-f", "qcow2", "-b", str(base().path), "-F", "qcow2", str(PLACE.rebasing)]


def test_export_of_a_disk_that_is_off_takes_its_lock() -> None:
    argv = export.convert_argv(EXPORT, Path("/out/part"))
    assert argv[:3] == ["qemu-img", "convert", "-q"]
    assert argv[3:] == [
        *("-f", "qcow2", "-T", "none", "-O", "qcow2"),
        *("/pet/web-3.qcow2", "/out/part"),
    ]


def test_export_of_a_snapshot_of_a_disk_that_is_off_takes_its_lock_too() -> None:
    assert "-U" not in export.convert_argv(EXPORT._replace(snapshot="early"), Path("/out/part"))


def test_export_of_a_disk_in_use() -> None:
    argv = export.convert_argv(
        EXPORT._replace(snapshot="early", in_use=True, direct=False, compress=True),
        Path("/out/part"),
    )
    assert argv[3:] == [
        *("-U", "-f", "qcow2", "-l", "snapshot.name=early", "-O", "qcow2", "-c"),
        *("/pet/web-3.qcow2", "/out/part"),
    ]
    assert export.measure_argv(EXPORT._replace(snapshot="early", in_use=True))[3:6] == [
        *("-U", "-f", "qcow2"),
    ]
