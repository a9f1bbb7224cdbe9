"""What the guest is made of when settings say so: disks, drives, memory, config."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.boot.terminal import attached
from tests.pods.run import Run
from tests.pods.vm import Pod

MIB = 1 << 20
OPENSTACK = "/config/openstack/latest"


def typed(pod: Pod, run: Run, command: str) -> str:
    """What the guest answers to a command on its serial console: the way in without a key."""
    run.console.wait_for("/ # ")
    with attached(pod) as person:
        # The quotes keep what is typed from being taken for the answer.
        person.type(f"echo fr''om; {command}; echo t''o\r".encode())
        answer = person.wait_for(rb"(?s)\nfrom\r\n(.*)to\r\n")
    return answer[1].decode().replace("\r\n", "\n")


@contextmanager
def loop_device(file: Path) -> Iterator[str]:
    found = subprocess.run(
        ["losetup", "--find", "--show", file], check=True, capture_output=True, text=True
    )
    device = found.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_extra_disks_come_in_order_and_are_the_guests_to_write(idle: Pod, tmp_path: Path) -> None:
    """And so does a config drive on SCSI, a second processor, and QEMU's own arguments."""
    sizes = {"volumes/b.img": 7, "volumes/a.img": 5, "disks/1": 9, "volumes/notes.txt": 1}
    for name, size in sizes.items():
        with (idle.folder / name).open("wb") as file:
            file.truncate(size * MIB)
    backing = tmp_path / "block"
    with backing.open("wb") as file:
        file.truncate(11 * MIB)
    with loop_device(backing) as device:
        (idle.folder / "disks/2").symlink_to(device)
        idle.devices = [device]
        run = idle.boot("-m", "300", CONFIG_DRIVE_BUS="scsi", VM_CPUS="2")
        told = idle.ssh("cat /sys/block/vd?/size; echo; mount | grep ' /config '; nproc; free -m")
        sectors, rest = told.split("\n\n")
        assert [int(each) * 512 // MIB for each in sectors.split()[1:]] == [5, 7, 9, 11]
        for disk in ("vdb", "vde"):
            idle.ssh(f"echo written to {disk} | dd of=/dev/{disk} conv=fsync 2>/dev/null")
        assert run.stop().status == 0
    assert (idle.folder / "volumes/a.img").read_bytes().startswith(b"written to vdb\n")
    assert backing.read_bytes().startswith(b"written to vde\n")
    drive, cpus, _, memory, *_ = rest.splitlines()
    assert drive.startswith("/dev/sr0 on /config type iso9660 (ro,")
    assert cpus == "2"
    assert 220 < int(memory.split()[1]) < 300


def test_nocloud(idle: Pod) -> None:
    idle.metadata.write_text("instance-id: i-7\nlocal-hostname: seven\n", encoding="utf-8")
    idle.boot(CONFIG_DRIVE="nocloud")
    told = idle.ssh("ls /config; sha256sum </config/user-data; cat /config/meta-data").split("\n")
    assert told[:2] == ["meta-data", "user-data"]
    assert told[2].split()[0] == hashlib.sha256(idle.userdata.read_bytes()).hexdigest()
    meta_data = json.loads("\n".join(told[3:]))
    assert (meta_data["instance-id"], meta_data["local-hostname"]) == ("i-7", "seven")


def test_metadata_alone(idle: Pod) -> None:
    """Its keys let us in, and what it says of the machine is so."""
    chosen = "0f0e0d0c-0b0a-4908-8706-050403020100"
    idle.userdata.unlink()
    idle.metadata.write_text(
        f"uuid: {chosen}\nhostname: renamed\nmac: 52:54:00:12:34:56\n"
        f"public_keys:\n  me: {idle.key.public}\n",
        encoding="utf-8",
    )
    idle.boot()
    words = ("cat /sys/class/dmi/id/product_uuid", f"ls {OPENSTACK}", f"cat {OPENSTACK}/*.json")
    uuid, files, *rest = idle.ssh("; ".join(words)).split("\n")
    meta_data = json.loads("\n".join(rest))
    assert (uuid, files) == (chosen, "meta_data.json")
    assert meta_data["uuid"] == chosen
    assert meta_data["hostname"] == "renamed"
    assert meta_data["mac"] == "52:54:00:12:34:56"


def test_neither_and_no_dhcp(idle: Pod) -> None:
    """The drive is there all the same, and says in writing what DHCP does not."""
    idle.userdata.unlink()
    run = idle.start(NO_DHCP="yes")
    show = f"cat {OPENSTACK}/network_data.json {OPENSTACK}/meta_data.json | tr -d '\\n'"
    told = typed(idle, run, f"{show}; echo; ls /run/lease {OPENSTACK}/..")
    decoder = json.JSONDecoder()
    network, end = decoder.raw_decode(told)
    meta_data, end = decoder.raw_decode(told, end)
    assert meta_data["name"] == "web-3"
    assert network["networks"][0]["ip_address"] == "192.168.254.2"
    assert network["links"][0]["mtu"] == 1450
    assert "ls: /run/lease: No such file or directory" in told[end:]
    assert "2015-10-15" in told[end:]
    assert "no ssh keys" in run.console.text


def test_no_config_drive(idle: Pod) -> None:
    run = idle.start(CONFIG_DRIVE="none")
    assert typed(idle, run, "ls /config; ls /dev/vd?") == "/dev/vda\n"
    assert "no config drive" in run.console.text
    assert not (idle.run_dir / "seed.iso").exists()


@pytest.mark.parametrize("name", ["", "other-7"], ids=["host name", "VM_NAME"])
def test_the_name_is_the_pods_unless_told(idle: Pod, name: str) -> None:
    run = idle.start(VM_NAME=name)
    run.log.wait_for(f"^startvm: {name or 'web-3'} is running$")
    assert (idle.folder / "pet" / f"{name or 'web-3'}.json").exists()
