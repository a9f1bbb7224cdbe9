"""`berth images`, on a temporary folder."""

import errno
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from launcher.cli.commands import commands
from launcher.host import container
from launcher.image.store import finding, references
from launcher.image.store.plan import YOUNG
from launcher.image.store.references import Reference
from tests.conftest import Golden
from tests.unit.image.conftest import Volume

WEB = Reference(
    "",
    "6b1e8d1c-2f5e-4b8e-9d55-5b8f0a5b7f11",
    "web-0",
    "node-1",
    "shop",
    "2026-11-20T20:00:00Z",
    "2026-11-21T20:00:00Z",
)
OTHER_UUID = "6b1e8d1c-2f5e-4b8e-9d55-5b8f0a5b7f22"


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volume:
    monkeypatch.setattr(container, "boot_id", lambda: "boot-1")
    path = tmp_path / "shared"
    path.mkdir()
    return Volume(path)


def images(volume: Volume, *arguments: str) -> Result:
    return CliRunner().invoke(
        commands,
        ["images", *arguments],
        env={"SHARED_DIR": str(volume.path)},
        catch_exceptions=False,
    )


def aged(volume: Volume, seconds: float) -> None:
    """As if all that is there had been there for so long; bases are not altered by that."""
    then = time.time() - seconds
    for each in volume.path.rglob("*"):
        if each.suffix != ".qcow2":
            os.utime(each, (then, then), follow_symlinks=False)
    for each in volume.path.glob("sha256-*.qcow2"):
        record = each.with_suffix(".json")
        before, after = each.stat().st_mtime_ns, int(then) * 10**9
        os.utime(each, ns=(after, after))
        record.write_text(record.read_text().replace(str(before), str(after)))
        os.utime(record, (then, then))


def test_what_is_there(volume: Volume, golden: Golden) -> None:
    one = volume.adopt()
    volume.adopt(IMG_SOURCE="https://me:secret@example.net/copy.qcow2?token=secret")
    volume.adopt(b"another", IMG_TARGET="other", IMG_SOURCE="https://example.org/other")
    references.write(volume.path, WEB._replace(digest=one.digest))
    references.write(
        volume.path, WEB._replace(digest=one.digest, uuid=OTHER_UUID, namespace="", last="")
    )
    golden("images/list.txt", images(volume).stdout)
    (volume.path / "disk.abcdefgh.part").touch()
    (volume.path / "lost").symlink_to(f"sha256-{'0' * 64}.qcow2")
    aged(volume, 7200)
    assert images(volume, "list").stdout == images(volume).stdout
    *_, part, lost = images(volume).stdout.splitlines()
    assert part == "disk.abcdefgh.part: 0 bytes, last written to 2 h 0 min ago"
    assert lost == "lost: its base is gone"


def test_for_machines(volume: Volume) -> None:
    base = volume.adopt()
    references.write(volume.path, WEB._replace(digest=base.digest))
    for arguments in (["--json"], ["list", "--json"]):
        found = json.loads(images(volume, *arguments).stdout)
        (shown,) = found["bases"]
        assert shown["sha256"] == base.digest
        assert (shown["size"], shown["virtual_size"]) == (8, 1 << 30)
        assert shown["names"] == ["disk.qcow2"]
        assert shown["pets"] == [WEB._replace(digest=base.digest)._asdict()]
        assert shown["sources"][0]["source"] == "https://example.org/disk.qcow2"


def test_folders_that_only_others_may_list(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    """lost+found, and the folder of another user's fetch."""
    key = "0" * 32
    closed = ("lost+found", f"fetch-{key}.abcdefgh.part")
    for name in closed:
        (volume.path / name).mkdir()
    listed = Path.iterdir

    def refuse(self: Path) -> Iterator[Path]:
        if self.name in closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    shown = images(volume)
    assert shown.exit_code == 0, shown.stderr
    assert f"in fetch-{key}.abcdefgh.part" in shown.stdout
    aged(volume, 25 * 3600)
    shown = images(volume, "prune")
    assert shown.exit_code == 0, shown.stderr
    assert f"kept the fetch {key} " in shown.stdout
    assert "it cannot be removed: Permission denied" in shown.stdout


def test_nothing_is_there(volume: Volume) -> None:
    shown = images(volume)
    assert (shown.exit_code, shown.stdout) == (0, f"there is no base in {volume.path}\n")
    volume.path.rmdir()
    shown = images(volume)
    assert shown.exit_code == 74
    assert shown.stderr.startswith(f"berth: SHARED_DIR='{volume.path}' is not there")


def test_a_base_that_differs_is_told_and_the_exit_code_tells(volume: Volume) -> None:
    base = volume.adopt()
    assert images(volume, "--verify").exit_code == 0
    status = base.path.stat()
    base.path.chmod(0o644)
    base.path.write_bytes(b"AN IMAGE")
    os.utime(base.path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert "NOT TO BE USED" not in images(volume).stdout, "size and time are as they were"
    for arguments in (["--verify"], ["list", "--verify"]):
        shown = images(volume, *arguments)
        assert shown.exit_code == 65
        assert "NOT TO BE USED: its sha256 is " in shown.stdout
    found = rf"NOT TO BE USED: its sha256 is \w+, as {os.uname().nodename} found at 20.*Z\n"
    assert re.search(found, images(volume).stdout), "and it stays known"


def test_prune_removes_what_was_found_of_a_base_with_it(volume: Volume) -> None:
    base = volume.adopt()
    place = finding.path(volume.path, base.digest)
    place.write_text("{}")
    references.write(volume.path, WEB._replace(digest=base.digest))
    assert "kept the base" in images(volume, "prune", "--now").stdout
    assert place.exists()
    references.remove(volume.path, WEB._replace(digest=base.digest))
    assert "freed: 1 base" in images(volume, "prune", "--now").stdout
    assert volume.names() == []
    place.write_text("{}")
    assert "NOT TO BE USED: it is gone" in images(volume).stdout, "a prune was killed"
    images(volume, "prune", "--now")
    assert volume.names() == []


def test_what_a_glance_finds(volume: Volume) -> None:
    base = volume.adopt()
    base.path.with_suffix(".json").unlink()
    shown = images(volume)
    assert "NOT TO BE USED: its record is missing or damaged" in shown.stdout
    assert shown.exit_code == 0
    assert images(volume, "--verify").exit_code == 65


def test_prune_removes_what_nobody_needs(volume: Volume) -> None:
    one = volume.adopt()
    other = volume.adopt(b"another", IMG_TARGET="other", IMG_SOURCE="https://example.org/other")
    references.write(volume.path, WEB._replace(digest=other.digest))
    aged(volume, YOUNG + 60)
    before = volume.names()
    shown = images(volume, "prune", "--dry-run")
    assert f"would remove the base sha256-{one.digest} (8 bytes): no pet" in shown.stdout
    assert f"would keep the base sha256-{other.digest} (7 bytes): web-0 stands" in shown.stdout
    assert shown.stdout.endswith("would free: 1 base, 8 bytes\n")
    assert volume.names() == before
    shown = images(volume, "prune")
    assert shown.stdout.endswith("freed: 1 base, 8 bytes\n")
    assert volume.names() == sorted(
        ["other", *(f"sha256-{other.digest}.{each}" for each in ("json", "pets", "qcow2"))]
    )


def test_prune_keeps_what_has_just_come(volume: Volume) -> None:
    volume.adopt()
    assert images(volume, "prune").stdout.endswith("freed: 0 bases, 0 bytes\n")
    found = json.loads(images(volume, "prune", "--now", "--dry-run", "--json").stdout)
    assert [(each["what"], each["remove"]) for each in found] == [("base", True)]
    assert "freed: 1 base" in images(volume, "prune", "--now").stdout
    assert volume.names() == []


def test_prune_of_what_a_dead_fetch_left(volume: Volume) -> None:
    key = "0" * 32
    for name in (f"fetch-{key}.part", f"fetch-{key}.json", f"fetch-{key}.lease.abcdefgh.part"):
        (volume.path / name).write_bytes(b"half")
    (volume.path / f"sha256-{'0' * 64}.json.abcdefgh.part").write_bytes(b"{")
    (volume.path / f"sha256-{'0' * 64}.shop_web-0_{WEB.uuid}.part").write_bytes(b"{")
    (volume.path / "disk.abcdefgh.part").touch()
    (volume.path / "name.abcdefgh.part").symlink_to(f"sha256-{'0' * 64}.qcow2")
    (volume.path / f"name.{'0' * 16}.part").symlink_to(f"sha256-{'0' * 64}.qcow2")
    images(volume, "prune")
    assert len(volume.names()) == 8, "it may be gone on with"
    aged(volume, 25 * 3600)
    assert f"removed the fetch {key}" in images(volume, "prune").stdout
    assert volume.names() == []


def test_prune_leaves_what_is_not_ours(volume: Volume) -> None:
    volume.path.joinpath("win11.iso.firefox1.part").mkdir()
    for name in (
        "precious.part",
        "disk.20240101.part",
        "debian.download.part",
        "disk.6b1e8d1c-2f5e-4b8e-9d55-5b8f0a5b7f11.part",
        "win11.iso.firefox1.part/win11.iso",
    ):
        (volume.path / name).write_bytes(b"precious")
    (volume.path / "link.abcdefgh.part").symlink_to("elsewhere")
    aged(volume, 25 * 3600)
    before = sorted(volume.path.rglob("*"))
    assert images(volume).stdout == f"there is no base in {volume.path}\n"
    assert images(volume, "prune").stdout == "freed: 0 bases, 0 bytes\n"
    assert sorted(volume.path.rglob("*")) == before


def test_the_name_that_a_crash_left_is_none_of_the_base(volume: Volume) -> None:
    base = volume.adopt()
    (volume.path / "disk.qcow2.abcdefgh.part").symlink_to(base.path.name)
    (shown,) = json.loads(images(volume, "--json").stdout)["bases"]
    assert shown["names"] == ["disk.qcow2"]


def test_prune_goes_on_where_something_cannot_be_removed(volume: Volume) -> None:
    """It may be another user's."""
    keys = ("0" * 32, "1" * 32)
    for key in keys:
        (volume.path / f"fetch-{key}.part").touch()
    (volume.path / f"fetch-{keys[0]}.abcdefgh.part/folder").mkdir(parents=True)
    aged(volume, 25 * 3600)
    shown = images(volume, "prune")
    assert shown.exit_code == 0
    assert f"kept the fetch {keys[0]} " in shown.stdout
    assert ": it cannot be removed: Is a directory\n" in shown.stdout
    assert f"removed the fetch {keys[1]} " in shown.stdout
    assert volume.names() == [f"fetch-{keys[0]}.abcdefgh.part"]


def test_forget_by_name_and_by_uuid(volume: Volume) -> None:
    base = volume.adopt()
    for name in ("web-0", WEB.uuid):
        references.write(volume.path, WEB._replace(digest=base.digest))
        shown = images(volume, "forget", name)
        assert shown.exit_code == 0, shown.stderr
        assert shown.stdout.startswith(f"forgotten: shop/web-0 ({WEB.uuid}), last started 2026-11")
        assert references.read(volume.path, base.digest) == ()


def test_forget_what_could_be_one_of_two(volume: Volume) -> None:
    base = volume.adopt()
    for uuid in (WEB.uuid, OTHER_UUID):
        references.write(volume.path, WEB._replace(digest=base.digest, uuid=uuid))
    shown = images(volume, "forget", "web-0")
    assert shown.exit_code == 78
    assert (
        "2 pets are called 'web-0'; accepted: the UUID or the namespace/name of one of these\n"
        in shown.stderr
    )
    assert WEB.uuid in shown.stderr
    assert OTHER_UUID in shown.stderr
    assert len(references.read(volume.path, base.digest)) == 2
    assert images(volume, "forget", OTHER_UUID).exit_code == 0
    assert [each.uuid for each in references.read(volume.path, base.digest)] == [WEB.uuid]


def test_forget_one_of_two_with_the_same_uuid(volume: Volume) -> None:
    base = volume.adopt()
    pets = [WEB._replace(digest=base.digest, namespace=each) for each in ("shop", "test")]
    for each in pets:
        references.write(volume.path, each)
    for pet in (WEB.uuid, "web-0"):
        shown = images(volume, "forget", pet)
        assert shown.exit_code == 78
        assert f"2 pets are called {pet!r}; accepted: the UUID or the namespace" in shown.stderr
    assert images(volume, "forget", "shop/web-0").exit_code == 0
    assert references.read(volume.path, base.digest) == (pets[1],)


def test_forget_one_that_is_not_there(volume: Volume) -> None:
    shown = images(volume, "forget", "web-7")
    assert shown.exit_code == 78
    assert "no pet is called 'web-7': none stands on a base in" in shown.stderr
    references.write(volume.path, WEB._replace(digest=volume.adopt().digest))
    shown = images(volume, "forget", "web-7")
    assert f"of one of these\n  - shop/web-0 ({WEB.uuid})" in shown.stderr
