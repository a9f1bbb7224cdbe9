"""Settings that are fine one by one but not together, or not in this container."""

import os
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

from launcher.settings import parse
from launcher.settings.source import is_path, redact
from launcher.settings.table import GIB, MIB, Settings

# The least memory that is still worth giving to a guest.
LEAST_GUEST_MEMORY = 64 * MIB

# More than any host has, and less than what a qcow2 image can describe.
TIB = 1024 * GIB
MOST_GUEST_MEMORY = 16 * TIB
MOST_DISK = 1024 * TIB

VNC_PORT = 5900

# A Unix socket's path has 107 bytes (unix(7)); the rest is for its name in RUN_DIR.
LONGEST_RUN_DIR = 90


def problems(settings: Settings, given: set[str], refused: set[str]) -> Iterator[str]:
    """One sentence for each problem. `given` and `refused` are names of fields.

    What was refused has been told already, and the default in its place says nothing.
    """
    if refused.isdisjoint({"vm_ip", "vm_gw"}):
        yield from addresses(settings, given)
    if refused.isdisjoint({"img_source", "img_target"}):
        yield from image(settings)
    if "vm_name" not in refused:
        yield from name(settings, given)
    if "vm_memory" not in refused:
        yield from memory(settings, given)
    yield from pairs(settings, given)
    if "network" not in refused:
        yield from network(settings, given)
    if settings.vm_disk_size and settings.vm_disk_size > MOST_DISK:
        yield f"VM_DISK_SIZE is {settings.vm_disk_size // TIB} TiB; accepted: 1024T or less"
    if settings.img_max_size > MOST_DISK:
        yield f"IMG_MAX_SIZE is {settings.img_max_size // TIB} TiB; accepted: 1024T or less"
    if len(os.fsencode(settings.run_dir)) > LONGEST_RUN_DIR:
        yield (
            f"RUN_DIR={str(settings.run_dir)!r} is too long; accepted: up to {LONGEST_RUN_DIR} "
            "bytes, since Unix sockets are made in it"
        )


def addresses(settings: Settings, given: set[str]) -> Iterator[str]:
    # The example keeps the address that was given alone.
    known = settings.vm_ip if given & {"vm_ip", "vm_gw"} == {"vm_ip"} else settings.vm_gw
    first, second = IPv4Network((known, 30), strict=False).hosts()
    if {settings.vm_ip, settings.vm_gw} != {first, second}:
        yield (
            f"VM_IP={str(settings.vm_ip)!r} with VM_GW={str(settings.vm_gw)!r} is not accepted; "
            f"accepted: the two hosts of one /30, such as {second} with {first}"
        )


def image(settings: Settings) -> Iterator[str]:
    source, target = settings.img_source, settings.img_target
    if source and not target:
        yield (
            f"IMG_SOURCE={redact(source)!r} ends in no file name, and IMG_TARGET is not set; "
            "accepted: both, or a source that ends in one"
        )
    elif not target:
        yield (
            "IMG_SOURCE is not set, and neither is IMG_TARGET; accepted: an http(s) URL or a full "
            "path as IMG_SOURCE, or as IMG_TARGET the name of a base on the shared volume"
        )
    elif settings.img_checksum and not source and not is_path(target):
        yield "IMG_CHECKSUM is set without IMG_SOURCE: there is nothing to check"


def name(settings: Settings, given: set[str]) -> Iterator[str]:
    if "vm_name" not in given:
        try:
            parse.host_name(settings.vm_name)
        except ValueError as err:
            yield (
                f"VM_NAME is not set, and the container's host name {settings.vm_name!r} is not "
                f"accepted in its place; accepted: {err}"
            )
    pet = settings.pet_dir / f"{settings.vm_name}.qcow2"
    bases = {"IMG_SOURCE": Path(settings.img_source or "")}
    bases["IMG_TARGET"] = settings.shared_dir / settings.img_target
    for setting, base in bases.items():
        if base == pet:
            yield (
                f"{setting} is {str(base)!r}, which is where the disk of VM_NAME="
                f"{settings.vm_name!r} is kept; accepted: another name for one of them"
            )


def memory(settings: Settings, given: set[str]) -> Iterator[str]:
    size = settings.vm_memory
    if size > MOST_GUEST_MEMORY:
        yield f"VM_MEMORY is {size // TIB} TiB; accepted: 16T or less"
    if size >= LEAST_GUEST_MEMORY:
        return
    if "vm_memory" in given:
        yield f"VM_MEMORY is {size // MIB} MiB; accepted: 64M or more"
    else:
        yield (
            f"VM_MEMORY is not set, and the container's memory limit leaves {max(0, size // MIB)} "
            "MiB to the guest; accepted: 64M or more (hint: raise the limit)"
        )


def pairs(settings: Settings, given: set[str]) -> Iterator[str]:
    if settings.no_vnc and settings.vnc_password_file:
        yield (
            f"NO_VNC is set and VNC_PASSWORD_FILE={str(settings.vnc_password_file)!r} too; "
            "accepted: one of them"
        )
    if settings.config_drive == "none" and "config_drive_bus" in given:
        yield "CONFIG_DRIVE_BUS is set, but CONFIG_DRIVE=none makes no drive to attach"
    if settings.cloud_config_file and "userdata_file" in given:
        yield (
            "USERDATA_FILE and CLOUD_CONFIG_FILE are both set; accepted: one of them, since both "
            "become the guest's user-data"
        )


def network(settings: Settings, given: set[str]) -> Iterator[str]:
    if settings.network == "nat":
        if settings.hostfwd:
            yield (
                "HOSTFWD is set, and NETWORK=nat leads every port to the VM; accepted: HOSTFWD "
                "with NETWORK=user"
            )
        return
    if settings.pod_ports:
        yield (
            "POD_PORTS is set, and with NETWORK=user only the ports of HOSTFWD lead to the VM; "
            "accepted: one of them"
        )
    if "nat_backend" in given:
        yield "NAT_BACKEND is set, but NETWORK=user translates no addresses"
    if settings.no_dhcp:
        yield "NO_DHCP is set, but QEMU's own network always has DHCP; accepted: NETWORK=nat"
    for each in settings.hostfwd:
        if not settings.no_vnc and (each.protocol, each.host_port) == ("tcp", VNC_PORT):
            yield (
                f"HOSTFWD='{each}' takes the port of the VM's screen; accepted: another one, or "
                "NO_VNC=yes"
            )
        if each.guest not in (None, settings.vm_ip):
            yield (
                f"HOSTFWD='{each}' leads to {each.guest}, where nobody is; accepted: no address, "
                f"or VM_IP's {settings.vm_ip}"
            )
