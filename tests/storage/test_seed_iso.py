"""The config drive as programs see it that had no part in writing it."""

import re
import subprocess
from pathlib import Path

import pytest

from launcher.seed import iso
from launcher.seed.tree import Tree, nocloud, openstack
from tests.unit.seed.test_tree import BINARY, IDENTITY, NETWORK

TREES = {
    "config-2": openstack(IDENTITY, {"hostname": "é"}, BINARY * 5000, NETWORK),
    "cidata": nocloud(IDENTITY, {"hostname": "é"}, BINARY * 5000, NETWORK),
}


def run(*argv: str | Path) -> bytes:
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True).stdout


def written(folder: Path, tree: Tree, label: str) -> Path:
    path = folder / "seed.iso"
    iso.reserve(path, iso.capacity(tree))
    iso.write(tree, label, path)
    return path


@pytest.fixture(params=TREES)
def drive(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, Tree]:
    label: str = request.param
    return written(tmp_path, TREES[label], label), label, TREES[label]


@pytest.mark.parametrize("names", ["-R", "-J"], ids=["Rock Ridge", "Joliet"])
def test_isoinfo_reads_every_file(drive: tuple[Path, str, Tree], names: str) -> None:
    path, _, tree = drive
    listed = run("isoinfo", names, "-f", "-i", path).decode().split("\n")
    assert {f"/{file.path}" for file in tree} <= set(listed)
    for file in tree:
        assert run("isoinfo", names, "-i", path, "-x", f"/{file.path}") == file.content


def test_blkid_finds_the_label_by_which_cloud_init_looks(drive: tuple[Path, str, Tree]) -> None:
    path, label, _ = drive
    found = run("blkid", "-p", "-o", "export", path).decode()
    assert f"LABEL={label}\n" in found
    assert "TYPE=iso9660\n" in found


def test_volume_ends_within_the_file(drive: tuple[Path, str, Tree]) -> None:
    path, _, _ = drive
    said = run("isoinfo", "-d", "-i", path).decode()
    sectors = re.search(r"Volume size is: (\d+)", said)
    assert sectors
    assert int(sectors[1]) * 2048 <= path.stat().st_size
    assert "Joliet with UCS level 3" in said
    assert "Rock Ridge signatures version 1" in said


def test_qemu_sees_what_is_written_after_it_opened_the_file(tmp_path: Path) -> None:
    """Its block layer remembers a file's length, but none of its contents."""
    tree = TREES["config-2"]
    path = tmp_path / "seed.iso"
    iso.reserve(path, iso.capacity(tree))
    argv = ["qemu-io", "-r", "-f", "raw", str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as qemu:
        assert qemu.stdin
        assert qemu.stdout
        # The prompt comes once the file is open.
        assert qemu.stdout.read(len("qemu-io>")) == b"qemu-io>"
        iso.write(tree, "config-2", path)
        # The primary volume descriptor: "CD001" from its second byte on.
        said, _ = qemu.communicate(b"read -v 32768 16\nread -P 0 0 512\n")
    assert b"43 44 30 30 31" in said
    assert said.count(b"read 512/512 bytes") == 1
