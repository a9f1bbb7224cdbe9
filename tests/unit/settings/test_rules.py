"""Each rule between settings, with its sentence, and next to it what the rule must not refuse."""

from ipaddress import IPv4Address

import pytest

from launcher.host.container import Container
from launcher.host.errors import SettingsError
from launcher.settings.load import Surroundings, load
from launcher.settings.rules import LONGEST_RUN_DIR
from tests.unit.settings.environments import HERE, LEAST, settings


def problem(environ: dict[str, str], around: Surroundings = HERE) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ, around)
    (found,) = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("environ", "example"),
    [
        ({"VM_IP": "10.0.0.2"}, "10.0.0.2 with 10.0.0.1"),
        ({"VM_GW": "10.0.0.1"}, "10.0.0.2 with 10.0.0.1"),
        ({"VM_IP": "192.168.254.3"}, "192.168.254.2 with 192.168.254.1"),
        ({"VM_IP": "10.0.0.2", "VM_GW": "10.0.0.2"}, "10.0.0.2 with 10.0.0.1"),
        ({"VM_IP": "10.0.0.2", "VM_GW": "10.0.0.3"}, "10.0.0.2 with 10.0.0.1"),
        ({"VM_IP": "10.0.0.4", "VM_GW": "10.0.0.5"}, "10.0.0.6 with 10.0.0.5"),
        ({"VM_IP": "10.0.0.10", "VM_GW": "10.0.0.1"}, "10.0.0.2 with 10.0.0.1"),
    ],
)
def test_addresses_are_the_two_hosts_of_a_30(environ: dict[str, str], example: str) -> None:
    ip, gateway = environ.get("VM_IP", "192.168.254.2"), environ.get("VM_GW", "192.168.254.1")
    assert problem(LEAST | environ) == (
        f"VM_IP={ip!r} with VM_GW={gateway!r} is not accepted; accepted: the two hosts of one "
        f"/30, such as {example}"
    )


def test_either_host_of_the_30_may_be_the_vm() -> None:
    assert settings(VM_IP="10.0.0.1", VM_GW="10.0.0.2").vm_ip == IPv4Address("10.0.0.1")
    assert settings(VM_IP="10.0.0.2", VM_GW="10.0.0.1").vm_ip == IPv4Address("10.0.0.2")


def test_an_image_is_needed() -> None:
    assert problem({}) == (
        "IMG_SOURCE is not set, and neither is IMG_TARGET; accepted: an http(s) URL or a full path "
        "as IMG_SOURCE, or as IMG_TARGET the name of a base on the shared volume"
    )


def test_source_without_a_file_name_needs_a_target() -> None:
    source = "https://me:secret@example.org/?file=disk"
    assert problem({"IMG_SOURCE": source}) == (
        "IMG_SOURCE='https://example.org/?…' ends in no file name, and IMG_TARGET is not set; "
        "accepted: both, or a source that ends in one"
    )
    assert load({"IMG_SOURCE": source, "IMG_TARGET": "disk"}, HERE).img_target == "disk"


def test_checksum_needs_something_to_check() -> None:
    checksum = {"IMG_CHECKSUM": "sha256:" + "0" * 64}
    assert problem({"IMG_TARGET": "disk", **checksum}) == (
        "IMG_CHECKSUM is set without IMG_SOURCE: there is nothing to check"
    )
    assert load({"IMG_TARGET": "/images/disk", **checksum}, HERE).img_checksum
    assert load({**LEAST, **checksum}, HERE).img_checksum


def test_host_name_of_the_container_has_to_do_for_a_vm() -> None:
    nameless = Surroundings(Container("(none)"))
    assert problem(LEAST, nameless) == (
        "VM_NAME is not set, and the container's host name '(none)' is not accepted in its place; "
        "accepted: a host name of letters, digits, hyphens and dots, up to 200 characters, such as "
        "web-0"
    )
    assert settings(nameless, VM_NAME="web").vm_name == "web"


def test_base_and_pet_are_two_files() -> None:
    one_volume = Surroundings(Container("web"), legacy_mount=True)
    expected = (
        "{} is '/image/web.qcow2', which is where the disk of VM_NAME='web' is kept; accepted: "
        "another name for one of them"
    )
    assert problem({"IMG_TARGET": "web.qcow2"}, one_volume) == expected.format("IMG_TARGET")
    assert problem({"IMG_TARGET": "/image/web.qcow2"}, one_volume) == expected.format("IMG_TARGET")
    source = {"IMG_SOURCE": "/image/web.qcow2", "IMG_TARGET": "base"}
    assert problem(source, one_volume) == expected.format("IMG_SOURCE")
    two_volumes = load({"IMG_TARGET": "web.qcow2"}, Surroundings(Container("web")))
    assert two_volumes.shared_dir != two_volumes.pet_dir


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"VM_MEMORY": "63M"}, "VM_MEMORY is 63 MiB; accepted: 64M or more"),
        ({"VM_MEMORY": "1"}, "VM_MEMORY is 0 MiB; accepted: 64M or more"),
        ({"VM_MEMORY": "17T"}, "VM_MEMORY is 17 TiB; accepted: 16T or less"),
        ({"IMG_MAX_SIZE": "1025T"}, "IMG_MAX_SIZE is 1025 TiB; accepted: 1024T or less"),
        ({"VM_DISK_SIZE": "1025T"}, "VM_DISK_SIZE is 1025 TiB; accepted: 1024T or less"),
        (
            {"NO_VNC": "yes", "VNC_PASSWORD_FILE": "/secret"},
            "NO_VNC is set and VNC_PASSWORD_FILE='/secret' too; accepted: one of them",
        ),
        (
            {"CONFIG_DRIVE": "none", "CONFIG_DRIVE_BUS": "virtio"},
            "CONFIG_DRIVE_BUS is set, but CONFIG_DRIVE=none makes no drive to attach",
        ),
        (
            {"USERDATA_FILE": "/a", "CLOUD_CONFIG_FILE": "/b"},
            "USERDATA_FILE and CLOUD_CONFIG_FILE are both set; accepted: one of them, since both "
            "become the guest's user-data",
        ),
        (
            {"RUN_DIR": "/" + "a" * LONGEST_RUN_DIR},
            f"RUN_DIR={'/' + 'a' * LONGEST_RUN_DIR!r} is too long; accepted: up to "
            f"{LONGEST_RUN_DIR} bytes, since Unix sockets are made in it",
        ),
        (
            {"HOSTFWD": "tcp::2222-:22"},
            "HOSTFWD is set, and NETWORK=nat leads every port to the VM; accepted: HOSTFWD with "
            "NETWORK=user",
        ),
        (
            {"NETWORK": "user", "POD_PORTS": "tcp/22"},
            "POD_PORTS is set, and with NETWORK=user only the ports of HOSTFWD lead to the VM; "
            "accepted: one of them",
        ),
        (
            {"NETWORK": "user", "NAT_BACKEND": "auto"},
            "NAT_BACKEND is set, but NETWORK=user translates no addresses",
        ),
        (
            {"NETWORK": "user", "NO_DHCP": "yes"},
            "NO_DHCP is set, but QEMU's own network always has DHCP; accepted: NETWORK=nat",
        ),
        (
            {"NETWORK": "user", "HOSTFWD": "udp::5900-:1,tcp:10.0.0.1:5900-:1"},
            "HOSTFWD='tcp:10.0.0.1:5900-:1' takes the port of the VM's screen; accepted: another "
            "one, or NO_VNC=yes",
        ),
        (
            {"NETWORK": "user", "HOSTFWD": "tcp::2222-10.0.2.15:22"},
            "HOSTFWD='tcp::2222-10.0.2.15:22' leads to 10.0.2.15, where nobody is; accepted: no "
            "address, or VM_IP's 192.168.254.2",
        ),
    ],
)
def test_refused_together(environ: dict[str, str], expected: str) -> None:
    assert problem(LEAST | environ) == expected


@pytest.mark.parametrize(
    "environ",
    [
        {"VM_MEMORY": "64M"},
        {"VM_MEMORY": "16T"},
        {"VM_DISK_SIZE": "1024T", "IMG_MAX_SIZE": "1024T"},
        {"NO_VNC": "no", "VNC_PASSWORD_FILE": "/secret"},
        {"CONFIG_DRIVE": "none"},
        {"CONFIG_DRIVE": "nocloud", "CONFIG_DRIVE_BUS": "sata"},
        {"CLOUD_CONFIG_FILE": "/b"},
        {"RUN_DIR": "/" + "a" * (LONGEST_RUN_DIR - 1)},
        {"NO_VNC": "yes", "POD_PORTS": "tcp/5900"},
        {"NETWORK": "user"},
        {"NETWORK": "user", "NO_DHCP": "no"},
        {"NETWORK": "user", "HOSTFWD": "tcp::22-192.168.254.2:22"},
        {"NETWORK": "user", "HOSTFWD": "tcp::5900-:5900", "NO_VNC": "yes"},
    ],
)
def test_accepted_together(environ: dict[str, str]) -> None:
    settings(**environ)


def test_problems_of_both_kinds_come_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"VM_CPUS": "0", "VM_MEMORY": "1M", "VM_GW": "10.0.0.1"}, HERE)
    assert [each.split(maxsplit=1)[0].partition("=")[0] for each in caught.value.problems] == [
        "VM_CPUS",
        "VM_IP",
        "IMG_SOURCE",
        "VM_MEMORY",
    ]
