"""Environment → `Settings`, with every problem found in one go."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from launcher.host.container import Container
from launcher.host.errors import SettingsError
from launcher.settings import rules
from launcher.settings.source import redact, target_of
from launcher.settings.table import MIB, MOST_CPUS, Settings, rows


class Surroundings(NamedTuple):
    """What defaults depend on besides the environment.

    `emulated`: whether QEMU would have to emulate here; `legacy_mount`: whether only /image is
    mounted, as the first Berth had it.
    """

    container: Container
    emulated: bool = False
    legacy_mount: bool = False


def load(environ: Mapping[str, str], around: Surroundings) -> Settings:
    """Read all settings. An empty variable counts as unset: charts render those.

    :raise SettingsError: with one sentence for each problem, however many there are.
    """
    problems: list[str] = []
    given: dict[str, Any] = {}
    given_as: dict[str, str] = {}
    refused: set[str] = set()
    for field, row in rows().items():
        for name, parser in {row.name: row.parser, **row.aliases}.items():
            value = environ.get(name, "").strip()
            if not value:
                continue
            shown = f"{name}={(redact(value) if row.is_address else value)!r}"
            try:
                parsed = parser(value)
            except ValueError as err:
                problems.append(f"{shown} is not accepted; accepted: {err}")
                refused.add(field)
                continue
            if given.setdefault(field, parsed) != parsed:
                problems.append(
                    f"{shown} contradicts {given_as[field]}; they are two names of one "
                    "setting: keep one of them"
                )
            given_as.setdefault(field, shown)
    settings = with_defaults(given, around)
    problems += rules.problems(settings, set(given), refused)
    if problems:
        raise SettingsError(problems)
    return settings


def load_one(environ: Mapping[str, str], field: str) -> Any:
    """The value of one setting that depends on no other: its field's name, as in `Settings`.

    :raise SettingsError: when it is wrong.
    """
    row = rows()[field]
    value = environ.get(row.name, "").strip()
    try:
        return row.parser(value) if value else row.default
    except ValueError as err:
        raise SettingsError([f"{row.name}={value!r} is not accepted; accepted: {err}"]) from err


def with_defaults(given: Mapping[str, Any], around: Surroundings) -> Settings:
    """Fill in the defaults that depend on other settings or on the container."""
    settings = Settings(**{field: given.get(field, row.default) for field, row in rows().items()})
    cpus = settings.vm_cpus
    if "vm_cpus" not in given and around.container.cpus:
        cpus = min(MOST_CPUS, max(1, math.ceil(around.container.cpus)))
    memory = settings.vm_memory
    if "vm_memory" not in given and around.container.memory:
        emulated = settings.accel == "tcg" or (settings.accel == "auto" and around.emulated)
        memory = guest_memory(around.container.memory, cpus, emulated)
    image = Path("/image") if around.legacy_mount else None
    return settings._replace(
        vm_cpus=cpus,
        vm_memory=memory,
        vm_name=settings.vm_name or around.container.hostname,
        img_target=settings.img_target or target_of(settings.img_source or ""),
        shared_dir=given.get("shared_dir", image or settings.shared_dir),
        pet_dir=given.get("pet_dir", image or settings.pet_dir),
    )


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
