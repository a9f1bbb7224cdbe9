"""The format of a disk is what it was when it was made, whatever a guest writes onto it.

Disks are opened as the VM's command line says, by the part of QEMU that does nothing else; a guest
then reads and writes by NBD. What its headers name is watched: nobody may open it.
"""

import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from launcher.disk import pet
from launcher.disk.pet import Pet
from launcher.disk.place import Place
from launcher.disk.plan import plan
from launcher.image.base import Base
from launcher.image.format.qcow2 import header as spec
from launcher.machine import drives
from launcher.machine.devices import PetDisk, RawDisk
from launcher.machine.options import Words
from tests.storage.conftest import MIB, Images, Volume
from tests.storage.inotify import Watch, watched
from tests.unit.image.format.foreign_headers import descriptor
from tests.unit.image.format.qcow2.headers import header

SIZE = 4 * MIB


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"do not read me".ljust(MIB, b"\0"))
    return path


@pytest.fixture
def watch(secret: Path) -> Iterator[Watch]:
    with watched(secret) as found:
        yield found


def headers(secret: Path) -> dict[str, bytes]:
    """What a guest writes to the start of its disk, to read `secret` at its next boot."""
    name = os.fsencode(secret)
    places: dict[str, Any] = {"l1_offset": 3 << 16, "l1_entries": 1, "virtual_size": MIB}
    extent = f'RW 2048 FLAT "{secret}" 0'
    return {
        "backing file": header(backing=name, extensions=[(spec.BACKING_FORMAT, b"raw")], **places),
        "data file": header(
            incompatible=spec.DATA_FILE, extensions=[(spec.DATA_FILE_NAME, name)], **places
        ),
        "VMDK": descriptor(type_="monolithicFlat", extents=[extent]),
    }


def written(content: bytes, length: int = SIZE) -> bytes:
    """A disk that starts so, with tables that a qcow2 header would find where it says."""
    disk = bytearray(content.ljust(length, b"\0"))
    if content.startswith(spec.MAGIC):
        disk[1 << 16 : (1 << 16) + 8] = (2 << 16).to_bytes(8)
        disk[2 << 16 : (2 << 16) + 8] = b"\0\1" * 4
    return bytes(disk)


@contextmanager
def opened(options: Sequence[Words], node: str, folder: Path) -> Iterator[str]:
    """The address at which a guest finds the disk `node` of the machine's `options`."""
    socket, pid = folder / "nbd", folder / "pid"
    nodes = [value for flag, value in options if flag == "-blockdev"]
    argv = [
        "qemu-storage-daemon", "--daemonize", "--pidfile", str(pid),
        *(word for each in nodes for word in ("--blockdev", each)),
        "--nbd-server", f"addr.type=unix,addr.path={socket}",
        "--export", f"type=nbd,id=guest,node-name={node},name={node},writable=on",
    ]  # fmt: skip
    # It goes to the background once all is open; a pipe of ours would stay open with it.
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    number = int(pid.read_text())
    ended = os.pidfd_open(number)
    try:
        yield f"nbd+unix:///{node}?socket={socket}"
    finally:
        os.kill(number, signal.SIGTERM)
        # Readable once the process has ended.
        assert select.select([ended], [], [], 30)[0]
        os.close(ended)


def read(address: str, folder: Path) -> bytes:
    """The whole disk, as the guest sees it."""
    copy = folder / "copy"
    argv = ["qemu-img", "convert", "-f", "raw", "-O", "raw", address, str(copy)]
    subprocess.run(argv, check=True)
    return copy.read_bytes()


def write(address: str, content: bytes, folder: Path) -> None:
    data = folder / "data"
    data.write_bytes(content)
    command = f"write -s {data} 0 {len(content)}"
    argv = ["qemu-io", "-f", "raw", "-c", command, address]
    subprocess.run(argv, check=True, capture_output=True)


@pytest.mark.parametrize("trick", ["backing file", "data file", "VMDK"])
def test_an_extra_disk_is_raw(tmp_path: Path, secret: Path, watch: Watch, trick: str) -> None:
    disk = tmp_path / "x.img"
    content = written(headers(secret)[trick])
    disk.write_bytes(content)
    # That the trick works where a format is guessed is what makes the rest mean something.
    guessed = ["qemu-io", "-r", "-c", "read 0 512", str(disk)]
    subprocess.run(guessed, capture_output=True, check=False)
    assert watch.was_opened()
    options = list(drives.raw("disk0", RawDisk(disk, block=False, direct=False, aio="threads")))
    with opened(options, "disk0", tmp_path) as address:
        assert read(address, tmp_path) == content
        assert not watch.was_opened()


@pytest.mark.parametrize("trick", ["backing file", "data file", "VMDK"])
def test_a_pet_is_qcow2_on_qcow2(
    volume: Volume, images: Images, tmp_path: Path, secret: Path, watch: Watch, trick: str
) -> None:
    base = volume.ensure(images.raw)
    (tmp_path / "pet").mkdir()
    content = written(headers(secret)[trick], MIB)
    disk = start(volume, base, tmp_path)
    with opened(blockdevs(disk, base), "pet", tmp_path) as address:
        write(address, content, tmp_path)
    for size in ("", "8M"):
        disk = start(volume, base, tmp_path, size)
        with opened(blockdevs(disk, base), "pet", tmp_path) as address:
            seen = read(address, tmp_path)
        assert seen[:MIB] == content
        assert seen[MIB : 5 * MIB] == images.raw.read_bytes()[MIB:]
        assert len(seen) == disk.virtual_size
    assert not watch.was_opened()
    found = spec.read(disk.path)
    assert (found.backing_file, found.backing_format) == (str(base.path), "qcow2")


def start(volume: Volume, base: Base, folder: Path, size: str = "") -> Pet:
    """What each start of the VM does about its pet, growth included."""
    settings = volume.settings(base.source, PET_DIR=str(folder / "pet"), VM_DISK_SIZE=size)
    place = Place(settings.pet_dir, settings.vm_name)
    return pet.apply(plan(settings, pet.find(place), base))


def blockdevs(disk: Pet, base: Base) -> list[Words]:
    return list(drives.pet(PetDisk(disk.path, base.path, direct=False, aio="threads")))
