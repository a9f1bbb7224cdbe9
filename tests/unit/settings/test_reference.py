"""The reference page and the listing."""

from typing import Any

import pytest

from launcher.host.container import Container
from launcher.settings.load import Surroundings, load
from launcher.settings.reference import listing, markdown, show
from launcher.settings.table import Settings, rows
from tests.unit.settings.environments import HERE, settings

# Values of each setting that show() could get wrong: one environment's text each.
VALUES = {
    "IMG_SOURCE": ["https://example.org/disk.qcow2", "/images/my disk.qcow2"],
    "IMG_TARGET": ["disk.qcow2", "/images/disk.qcow2"],
    "IMG_CHECKSUM": [
        "sha256:" + "0" * 64,
        "sha512:" + "f" * 128,
        "https://example.org/SHA256SUMS",
        "https://example.org/SHA512SUMS",
    ],
    "IMG_MAX_SIZE": ["1G", "2T"],
    "IMG_VERIFY": ["quick", "full"],
    "IMG_HEADERS_FILE": ["/run/secrets/image/headers"],
    "IMG_NETRC_FILE": ["/run/secrets/image/netrc"],
    "FETCH_STALL_TIMEOUT": ["1", "3600"],
    "FETCH_TIMEOUT": ["1", "2592000"],
    "VM_NAME": ["web-0.example.org"],
    "VM_CPUS": ["1", "255"],
    "VM_MEMORY": ["64M", "1G", "1536M", "2T", "100000000"],
    "VM_DISK_SIZE": ["1", "512", "1M", "1000G", "4T"],
    "ON_SMALLER_SIZE": ["refuse", "keep"],
    "ACCEL": ["auto", "kvm", "tcg"],
    "QEMU_USER": ["qemu", "107", "_q-1.x$"],
    "NETWORK": ["nat", "user"],
    "HOSTFWD": ["tcp::1-:2", "hostfwd=udp:10.0.0.1:53-192.168.254.2:53,tcp::1-:2", "::1-:2"],
    "VM_IP": ["192.168.254.2"],
    "VM_GW": ["192.168.254.1"],
    "NO_DHCP": ["yes", "no"],
    "NO_VNC": ["yes", "no"],
    "POD_PORTS": ["tcp/1", "tcp/1,udp/2", "sctp/1,tcp/1,udp/1"],
    "NAT_BACKEND": ["auto", "nft", "iptables"],
    "USERDATA_FILE": ["/a b"],
    "METADATA_FILE": ["/m"],
    "CLOUD_CONFIG_FILE": ["/c"],
    "IGNITION_CONFIG_FILE": ["/i"],
    "CONFIG_DRIVE": ["openstack", "nocloud", "none"],
    "CONFIG_DRIVE_BUS": ["virtio", "sata", "scsi"],
    "VNC_PASSWORD_FILE": ["/secret"],
    "STOP_TIMEOUT": ["2", "86400"],
    "ON_POWEROFF": ["restart", "stay"],
    "ON_CRASH": ["restart", "stay"],
    "NODE_NAME": ["n1", "ip-10-0-0-1.example.org"],
    "POD_NAMESPACE": ["default"],
    "POD_UID": ["11111111-2222-4333-8444-555555555555"],
    "LOG_LEVEL": ["debug", "info", "warning", "error"],
    "LOG_FORMAT": ["text", "json"],
    "SHARED_DIR": ["/s"],
    "PET_DIR": ["/p"],
    "RUN_DIR": ["/r"],
    "VOLUMES_DIR": ["/v"],
    "DISKS_DIR": ["/d"],
}


def test_no_setting_is_forgotten_here() -> None:
    assert set(VALUES) == {row.name for row in rows().values()}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in VALUES.items() for value in values]
)
def test_what_is_shown_can_be_set(name: str, value: str) -> None:
    (row,) = [row for row in rows().values() if row.name == name]
    parsed = row.parser(value)
    shown = show(parsed)
    # Nothing at all is how "no" is shown: an empty variable counts as unset.
    assert (row.parser(shown) if shown else False) == parsed


def test_whole_listing_can_be_set() -> None:
    wanted = settings(
        IMG_CHECKSUM="https://example.org/SHA512SUMS",
        IMG_VCPU="4",
        IMG_RAM_MB="1536",
        VM_DISK_SIZE="40G",
        POD_PORTS="udp/53,tcp/22",
        NO_VNC="1",
        ON_CRASH="stay",
    )
    assert load(dict(listing(wanted)), Surroundings(Container("another"))) == wanted
    assert load(dict(listing(settings())), HERE) == settings()


def test_listing_shows_no_credentials() -> None:
    found = settings(
        IMG_SOURCE="https://me:secret@example.org/disk.qcow2?token=secret",
        IMG_CHECKSUM="https://me:secret@example.org/SHA256SUMS#secret",
    )
    shown = dict(listing(found))
    assert shown["IMG_SOURCE"] == "https://example.org/disk.qcow2?…"
    assert shown["IMG_CHECKSUM"] == "https://example.org/SHA256SUMS?…"
    assert not [value for value in shown.values() if "secret" in value]


def test_every_setting_that_may_be_a_url_is_shown_without_credentials() -> None:
    url = "https://me:secret@example.org/SHA256SUMS"
    for field, row in rows().items():
        try:
            parsed: Any = row.parser(url)
        except ValueError:
            continue
        if isinstance(parsed, bool):
            continue
        found: Settings = settings()._replace(**{field: parsed})
        assert "secret" not in dict(listing(found))[row.name]


def test_page_has_every_name_once() -> None:
    page = markdown()
    for row in rows().values():
        for name in (row.name, *row.aliases):
            assert page.count(f"| `{name}`") + page.count(f", `{name}` |") == 1
        assert row.meaning in page


def test_page_is_a_table_that_renders() -> None:
    lines = [line for line in markdown().splitlines() if line.startswith("|")]
    assert len(lines) > len(rows())
    assert {line.count("|") for line in lines} == {4}


def test_page_tells_defaults_as_they_are() -> None:
    page = markdown()
    for row in rows().values():
        if not row.default_text and row.default not in (None, False, ()):
            (line,) = [line for line in page.splitlines() if line.startswith(f"| `{row.name}`")]
            assert line.split("|")[2].strip() == show(row.default)
            assert row.parser(show(row.default)) == row.default
