"""QEMU's command line, read whole in goldens, and what must hold of each."""

from itertools import pairwise

import pytest

from launcher.machine import qemu
from launcher.machine.options import paste
from tests.conftest import Golden
from tests.unit.machine.machines import DEFAULT, MACHINES


def argv(name: str) -> list[str]:
    return qemu.argv(MACHINES[name])


@pytest.mark.parametrize("name", MACHINES)
def test_command_line(golden: Golden, name: str) -> None:
    golden(f"machine/{name}.args", paste(argv(name)) + "\n")


def values(words: list[str], flag: str) -> list[str]:
    """What follows each `flag`."""
    return [value for each, value in pairwise(words) if each == flag]


@pytest.mark.parametrize("name", MACHINES)
def test_starts_paused(name: str) -> None:
    # Links and NAT are not there yet when QEMU starts.
    assert "-S" in argv(name)


@pytest.mark.parametrize("name", MACHINES)
def test_no_drive_is_probed(name: str) -> None:
    # A guest can write another format's header onto a raw disk (CVE-2026-24708).
    words = argv(name)
    drives = values(words, "-blockdev")
    assert drives
    for drive in drives:
        assert ",driver=qcow2," in drive or ",driver=raw," in drive
        assert ",file.driver=file," in drive or ",file.driver=host_device," in drive
    for probing in ("-drive", "-hda", "-cdrom", "-sd", "-pflash"):
        assert probing not in words


@pytest.mark.parametrize("name", MACHINES)
def test_locks_and_flushes_stay_on(name: str) -> None:
    words = " ".join(argv(name))
    for careless in ("locking=off", "share-rw=on", "cache=unsafe", "no-flush=on"):
        assert careless not in words


@pytest.mark.parametrize("name", MACHINES)
def test_no_error_of_a_disk_that_is_written_to_reaches_the_guest(name: str) -> None:
    disks = [
        each
        for each in values(argv(name), "-device")
        if ",drive=pet," in each or ",drive=disk" in each
    ]
    assert len(disks) == 1 + len(MACHINES[name].disks)
    for each in disks:
        assert each.endswith(",werror=stop,rerror=stop")


@pytest.mark.parametrize("name", MACHINES)
def test_only_base_and_config_drive_are_read_only(name: str) -> None:
    drives = values(argv(name), "-blockdev")
    read_only = {each.split(",")[0] for each in drives if ",read-only=on," in each}
    assert read_only == {"node-name=base", "node-name=seed"} & {d.split(",")[0] for d in drives}


@pytest.mark.parametrize("name", MACHINES)
def test_devices_have_drives_that_exist(name: str) -> None:
    words = argv(name)
    nodes = {each.split(",")[0].removeprefix("node-name=") for each in values(words, "-blockdev")}
    used = [
        part.removeprefix("drive=")
        for device in values(words, "-device")
        for part in device.split(",")
        if part.startswith("drive=")
    ]
    assert sorted(used) == sorted(nodes - {"base"})


@pytest.mark.parametrize("name", MACHINES)
def test_vnc_listens_where_it_is_told_to_only(name: str) -> None:
    shown, vnc = values(argv(name), "-vnc"), MACHINES[name].vnc
    if vnc is None:
        assert shown == []
        assert values(argv(name), "-display") == ["none"]
    else:
        (screen,) = shown
        assert screen.split(",")[:2] == ["10.1.2.3:0", "vnc=127.0.0.1:0"]
        assert ("password-secret=" in screen) is (vnc.password_file is not None)


def test_password_is_a_file_and_never_a_word() -> None:
    (secret,) = [each for each in values(argv("vnc-password"), "-object") if "secret" in each]
    assert secret == "secret,id=vnc-password,file=/run/berth/vnc-password"
    assert "password=" not in " ".join(argv("vnc-password"))


def test_tap_is_vhosts_only_with_its_descriptor() -> None:
    assert values(argv("kvm-vhost"), "-netdev") == ["tap,id=net0,fd=5,vhost=on,vhostfd=7"]
    assert values(argv("default"), "-netdev") == ["tap,id=net0,fd=5"]


def test_users_arguments_come_last_and_as_they_are() -> None:
    assert argv("arguments") == [*argv("default"), "-device", "e1000,netdev=net1", "-snapshot"]


def test_the_pet_is_what_boots() -> None:
    for name in MACHINES:
        devices = values(argv(name), "-device")
        (boots,) = [each for each in devices if "bootindex=" in each]
        assert boots.startswith("virtio-blk-pci,drive=pet,iothread=io0,bootindex=1,")


def test_memory_is_rounded_down_to_what_was_given() -> None:
    machine = DEFAULT._replace(memory=(1 << 30) + 123)
    assert values(qemu.argv(machine), "-m") == ["size=1024M"]
