"""Environment → `Settings`, with every problem found in one go."""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from launcher.host.container import Container
from launcher.host.errors import SettingsError
from launcher.settings.table import GIB, MIB, Row, Settings

# The lowest share of a container's memory limit that is still worth giving to a guest.
LEAST_GUEST_MEMORY = 64 * MIB


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What defaults depend on besides the environment.

    `emulated`: whether QEMU would have to emulate here; `legacy_mount`: whether only /image is
    mounted, as the first Berth had it.
    """

    container: Container
    emulated: bool = False
    legacy_mount: bool = False


def rows() -> list[tuple[Field[Any], Row]]:
    """The table: each field of `Settings` with its row, in the order of the reference page."""
    return [(each, each.metadata["row"]) for each in fields(Settings)]


def load(environ: Mapping[str, str], around: Surroundings) -> Settings:
    """Read all settings. An empty variable counts as unset: charts render those.

    :raise SettingsError: with one sentence for each problem, however many there are.
    """
    problems: list[str] = []
    given: dict[str, Any] = {}
    for each, row in rows():
        for name, parser in {row.name: row.parser, **row.aliases}.items():
            value = environ.get(name, "").strip()
            if not value:
                continue
            try:
                parsed = parser(value)
            except ValueError as err:
                shown = redact(value) if row.is_address else value
                problems.append(f"{name}={shown!r} is not accepted; accepted: {err}")
                continue
            if given.setdefault(each.name, parsed) != parsed:
                problems.append(
                    f"{name}={value!r} contradicts {row.name}={environ[row.name]!r}; they are two "
                    "names of one setting: keep one of them"
                )
    settings = with_defaults(given, around)
    problems += contradictions(settings, set(given))
    if problems:
        raise SettingsError(problems)
    return settings


def with_defaults(given: Mapping[str, Any], around: Surroundings) -> Settings:
    """Fill in the defaults that depend on other settings or on the container."""
    settings = Settings(**given)
    cpus = settings.vm_cpus
    if "vm_cpus" not in given and around.container.cpus:
        cpus = max(1, math.ceil(around.container.cpus))
    memory = settings.vm_memory
    if "vm_memory" not in given and around.container.memory:
        emulated = settings.accel == "tcg" or (settings.accel == "auto" and around.emulated)
        memory = guest_memory(around.container.memory, cpus, emulated)
    image = Path("/image") if around.legacy_mount else None
    return replace(
        settings,
        vm_cpus=cpus,
        vm_memory=memory,
        vm_name=settings.vm_name or around.container.hostname,
        img_target=settings.img_target or target_of(settings.img_source or ""),
        shared_dir=given.get("shared_dir", image or settings.shared_dir),
        pet_dir=given.get("pet_dir", image or settings.pet_dir),
    )


def target_of(source: str) -> str:
    """The last part of a URL's or file's path, as a name for the base; empty if there is none."""
    return Path(urlsplit(source).path if "://" in source else source).name


def overhead(memory: int, cpus: int, emulated: bool) -> int:
    """Bytes a pod needs besides the guest's `memory` bytes.

    The shape is KubeVirt's formula: page tables are 1/512 of the guest's memory, each vCPU and
    the iothread have 8 MiB. QEMU itself, the launcher and dnsmasq together stay below 128 MiB;
    an emulating QEMU keeps translated code besides.
    """
    translated = 128 * MIB if emulated else 0
    return 128 * MIB + translated + 8 * MIB * (cpus + 1) + memory // 512


def guest_memory(limit: int, cpus: int, emulated: bool) -> int:
    """The guest's share of a container's memory limit, in bytes, a whole number of MiB."""
    return (limit - overhead(limit, cpus, emulated)) // MIB * MIB


def contradictions(settings: Settings, given: set[str]) -> list[str]:
    """Settings that are fine one by one but not together."""
    problems = []
    subnet = IPv4Network((settings.vm_gw, 30), strict=False)
    if {settings.vm_ip, settings.vm_gw} != set(subnet.hosts()):
        first, second = subnet.hosts()
        problems.append(
            f"VM_IP={str(settings.vm_ip)!r} with VM_GW={str(settings.vm_gw)!r} is not accepted; "
            f"accepted: the two hosts of one /30, such as {second} with {first}"
        )
    if not settings.img_target:
        problems.append(
            "IMG_SOURCE is not set, and neither is IMG_TARGET; accepted: an http(s) URL or a full "
            "path as IMG_SOURCE, or as IMG_TARGET the name of a base on the shared volume"
        )
    if settings.img_checksum and not settings.img_source and not is_path(settings.img_target):
        problems.append("IMG_CHECKSUM is set without IMG_SOURCE: there is nothing to check")
    if settings.no_vnc and settings.vnc_password_file:
        problems.append(
            f"NO_VNC is set and VNC_PASSWORD_FILE={str(settings.vnc_password_file)!r} too; "
            "accepted: one of them"
        )
    if settings.config_drive == "none" and "config_drive_bus" in given:
        problems.append("CONFIG_DRIVE_BUS is set, but CONFIG_DRIVE=none makes no drive to attach")
    if settings.cloud_config_file and "userdata_file" in given:
        problems.append(
            "USERDATA_FILE and CLOUD_CONFIG_FILE are both set; accepted: one of them, since both "
            "become the guest's user-data"
        )
    if settings.vm_memory < LEAST_GUEST_MEMORY:
        hint = "raise the container's memory limit" if "vm_memory" not in given else "use 1G, say"
        problems.append(
            f"VM_MEMORY is {settings.vm_memory // MIB} MiB; accepted: 64M or more (hint: {hint})"
        )
    if settings.vm_memory > 16 * 1024 * GIB:
        problems.append(f"VM_MEMORY is {settings.vm_memory // GIB} GiB; accepted: 16T or less")
    return problems


def is_path(target: str) -> bool:
    """Whether an IMG_TARGET is itself an image in the container, as the first Berth took it."""
    return target.startswith("/")


def redact(source: str) -> str:
    """`source` without what may be secret in a URL: user, password, query and fragment."""
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "a URL that cannot be read"
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
