"""From an environment to settings: names, aliases, defaults, and all problems at once."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from launcher.host.container import Container
from launcher.host.errors import SettingsError
from launcher.settings.load import Surroundings, load, overhead
from launcher.settings.table import GIB, MIB, rows
from tests.conftest import Golden
from tests.unit.settings.environments import HERE, LEAST, settings

WRONG = {
    "IMG_SOURCE": "ftp://me:secret@example.org/disk.qcow2",
    "IMG_TARGET": "../disk",
    "IMG_CHECKSUM": "https://me:secret@example.org/md5sums",
    "IMG_MAX_SIZE": "large",
    "IMG_VERIFY": "always",
    "IMG_HEADERS_FILE": "headers",
    "IMG_NETRC_FILE": "~/.netrc",
    "FETCH_STALL_TIMEOUT": "0",
    "FETCH_TIMEOUT": "4h",
    "VM_NAME": "web_0",
    "VM_CPUS": "many",
    "IMG_VCPU": "0",
    "VM_MEMORY": "1.5G",
    "IMG_RAM_MB": "2G",
    "VM_DISK_SIZE": "big",
    "ON_SMALLER_SIZE": "shrink",
    "ACCEL": "xen",
    "VM_IP": "192.168.254",
    "VM_GW": "127.0.0.1",
    "POD_PORTS": "9180",
    "NAT_BACKEND": "pf",
    "USERDATA_FILE": "userdata",
    "METADATA_FILE": "metadata",
    "CLOUD_CONFIG_FILE": "cloud-config",
    "IGNITION_CONFIG_FILE": "ignition",
    "CONFIG_DRIVE": "floppy",
    "CONFIG_DRIVE_BUS": "usb",
    "VNC_PASSWORD_FILE": "password",
    "QEMU_USER": "q e",
    "NETWORK": "bridge",
    "HOSTFWD": "tcp::22-:22,22:22",
    "STOP_TIMEOUT": "1",
    "ON_POWEROFF": "halt",
    "ON_CRASH": "halt",
    "NODE_NAME": "node_1",
    "POD_NAMESPACE": "-",
    "POD_UID": "a b",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "SHARED_DIR": "shared",
    "PET_DIR": "pet",
    "RUN_DIR": "run",
    "VOLUMES_DIR": "volumes",
    "DISKS_DIR": "disks",
}

# These take any text.
NEVER_WRONG = {"NO_VNC", "NO_DHCP"}


def problems(around: Surroundings = HERE, /, **environ: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(environ, around)
    return caught.value.problems


def test_every_setting_wrong_at_once(golden: Golden) -> None:
    names = {name for row in rows().values() for name in (row.name, *row.aliases)}
    assert set(WRONG) == names - NEVER_WRONG
    with pytest.raises(SettingsError) as caught:
        load(WRONG, HERE)
    # One each and none besides: the defaults in place of what was refused are nobody's mistake.
    assert len(caught.value.problems) == len(WRONG)
    assert caught.value.exit_code == 78
    golden("settings/all-wrong.txt", f"{caught.value}\n")


def test_nothing_is_needed_but_an_image() -> None:
    found = load(LEAST, HERE)
    assert found.img_target == "disk.qcow2"
    assert found.vm_name == "pet-0"
    assert found.vm_cpus == 1
    assert found.vm_memory == GIB
    assert found.vm_disk_size is None
    assert found.vm_ip == IPv4Address("192.168.254.2")
    assert found.vm_gw == IPv4Address("192.168.254.1")
    assert (found.shared_dir, found.pet_dir) == (Path("/shared"), Path("/pet"))


def test_base_that_is_there_needs_no_source() -> None:
    assert load({"IMG_TARGET": "disk.qcow2"}, HERE).img_source is None


def test_empty_is_unset() -> None:
    names = [name for row in rows().values() for name in (row.name, *row.aliases)]
    assert load({**dict.fromkeys(names, ""), **LEAST}, HERE) == load(LEAST, HERE)
    assert load({**dict.fromkeys(names, " \n"), **LEAST}, HERE) == load(LEAST, HERE)


def test_space_around_a_value_is_not_part_of_it() -> None:
    # A ConfigMap's block scalar ends in a newline.
    assert settings(VM_NAME=" web\n").vm_name == "web"


def test_other_variables_are_nobodys_business() -> None:
    assert settings(VM_PORT="tcp://10.0.0.1:80", KUBERNETES_PORT="x") == settings()


@pytest.mark.parametrize(
    ("name", "alias", "same", "other"),
    [("VM_CPUS", "IMG_VCPU", ("2", "2"), "3"), ("VM_MEMORY", "IMG_RAM_MB", ("2G", "2048"), "1024")],
)
def test_alias(name: str, alias: str, same: tuple[str, str], other: str) -> None:
    assert settings(**{alias: same[1]}) == settings(**{name: same[0]})
    assert settings(**{name: same[0], alias: same[1]}) == settings(**{name: same[0]})
    assert problems(**LEAST, **{name: same[0], alias: other}) == (
        f"{alias}={other!r} contradicts {name}={same[0]!r}; they are two names of one setting: "
        "keep one of them",
    )


def around(
    cpus: float | None = None, memory: int | None = None, *, emulated: bool = False
) -> Surroundings:
    return Surroundings(Container("pet-0", cpus=cpus, memory=memory), emulated=emulated)


@pytest.mark.parametrize(
    ("limit", "cpus"), [(None, 1), (0.1, 1), (1.0, 1), (1.5, 2), (8.0, 8), (512.0, 255)]
)
def test_cpus_follow_the_containers_limit(limit: float | None, cpus: int) -> None:
    assert settings(around(cpus=limit)).vm_cpus == cpus
    assert settings(around(cpus=limit), VM_CPUS="3").vm_cpus == 3
    assert settings(around(cpus=limit), IMG_VCPU="3").vm_cpus == 3


def test_memory_follows_the_containers_limit() -> None:
    # Two CPUs and the iothread at 8 MiB, 128 MiB of fixed cost, page tables of 8 MiB.
    assert settings(around(2, 4 * GIB)).vm_memory == (4096 - 128 - 24 - 8) * MIB
    assert settings(around(2, 4 * GIB), VM_MEMORY="8G").vm_memory == 8 * GIB
    assert settings(around(2, 4 * GIB), IMG_RAM_MB="512").vm_memory == 512 * MIB


def test_memory_is_whole_mebibytes_and_fits_below_the_limit() -> None:
    for limit in range(300 * MIB, 64 * GIB, 777_777_777):
        memory = settings(around(3, limit)).vm_memory
        assert memory % MIB == 0
        assert memory + overhead(memory, 3, emulated=False) <= limit


@pytest.mark.parametrize(
    ("accel", "emulated_here", "costs_more"),
    [("auto", True, True), ("auto", False, False), ("tcg", False, True), ("kvm", True, False)],
)
def test_emulation_costs_memory(accel: str, emulated_here: bool, costs_more: bool) -> None:
    given = settings(around(1, GIB, emulated=emulated_here), ACCEL=accel).vm_memory
    assert (given < settings(around(1, GIB), ACCEL="kvm").vm_memory) is costs_more


def test_limit_that_leaves_nothing_to_the_guest() -> None:
    assert problems(around(1, 150 * MIB), **LEAST) == (
        "VM_MEMORY is not set, and the container's memory limit leaves 5 MiB to the guest; "
        "accepted: 64M or more (hint: raise the limit)",
    )
    assert "leaves 0 MiB" in problems(around(1, 50 * MIB), **LEAST)[0]
    assert settings(around(1, 50 * MIB), VM_MEMORY="64M").vm_memory == 64 * MIB


def test_the_one_volume_of_the_first_berth() -> None:
    legacy = Surroundings(Container("pet-0"), legacy_mount=True)
    found = settings(legacy)
    assert (found.shared_dir, found.pet_dir) == (Path("/image"), Path("/image"))
    found = settings(legacy, PET_DIR="/pets")
    assert (found.shared_dir, found.pet_dir) == (Path("/image"), Path("/pets"))


def test_first_berths_environment() -> None:
    found = load(
        {
            "IMG_TARGET": "/images/disk.qcow2",
            "IMG_VCPU": "2",
            "IMG_RAM_MB": "2048",
            "NO_VNC": "true",
            "NO_DHCP": "1",
        },
        Surroundings(Container("berth-1"), legacy_mount=True),
    )
    assert (found.vm_cpus, found.vm_memory) == (2, 2 * GIB)
    assert (found.no_vnc, found.no_dhcp) == (True, True)
    assert (found.img_source, found.img_target) == (None, "/images/disk.qcow2")


def test_credentials_are_not_in_a_refusal() -> None:
    url = "https://me:secret@example.org:port/disk?token=secret"
    said = problems(IMG_SOURCE=url, IMG_CHECKSUM=url)
    assert len(said) == 2
    assert not [line for line in said if "secret" in line]


def test_credentials_are_not_in_a_settings_repr() -> None:
    found = settings(
        IMG_SOURCE="https://me:secret@example.org/disk.qcow2",
        IMG_CHECKSUM="https://me:secret@example.org/SHA256SUMS",
    )
    assert found.img_source == "https://me:secret@example.org/disk.qcow2"
    assert "secret" not in repr(found)
