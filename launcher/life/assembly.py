"""Facts → the guest's config drive and QEMU's parts. Pure."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from launcher.access import vnc
from launcher.disk.extra import ExtraDisk
from launcher.disk.pet import Pet
from launcher.disk.space import Backing
from launcher.host.storage import Aio
from launcher.life.facts import Facts
from launcher.machine import drives
from launcher.machine.devices import (
    Fd,
    FwCfg,
    Machine,
    Nic,
    PetDisk,
    RawDisk,
    Seed,
    UserNic,
)
from launcher.net.network import Network
from launcher.net.topology import PREFIX
from launcher.net.user import UserNetwork
from launcher.seed import ignition, tree
from launcher.seed.metadata import Identity
from launcher.seed.network import StaticNetwork
from launcher.seed.tree import NOCLOUD_LABEL, OPENSTACK_LABEL, Tree


class Handles(NamedTuple):
    """What QEMU holds on to: inherited descriptors, or paths and names that stand for them.

    `tap` is None where QEMU's own network stack takes its place.
    """

    monitor: Fd | Path
    tap: Fd | str | None
    vhost: Fd | None
    console: Fd | Path
    console_log: Fd | Path | None
    agent: Fd | Path

    def inherited(self) -> list[int]:
        """The numbers of those that are descriptors."""
        return [handle.number for handle in self if isinstance(handle, Fd)]


class Storage(NamedTuple):
    """How the drives are opened; `direct` has the paths that open past the page cache."""

    base: Path
    aio: Aio
    direct: frozenset[Path]


class Drive(NamedTuple):
    """The config drive before it is an image."""

    label: str
    tree: Tree
    path: Path


def agent_path(run_dir: Path) -> Path:
    return run_dir / "agent.sock"


def drive(facts: Facts) -> Drive | None:
    """The config drive's content; None where none is wanted."""
    settings = facts.settings
    identity = Identity(settings.vm_name, facts.pet.uuid)
    given = (identity, facts.inputs.metadata, facts.inputs.userdata, static_network(facts))
    path = settings.run_dir / "seed.iso"
    match settings.config_drive:
        case "openstack":
            return Drive(OPENSTACK_LABEL, tree.openstack(*given), path)
        case "nocloud":
            return Drive(NOCLOUD_LABEL, tree.nocloud(*given), path)
        case "none":
            return None


def static_network(facts: Facts) -> StaticNetwork | None:
    """The network in writing, which a guest needs only where no DHCP server tells it."""
    network = facts.network
    if isinstance(network, UserNetwork) or network.dhcp:
        return None
    return StaticNetwork(
        mac=network.vm_mac,
        address=network.vm_address,
        prefix=PREFIX,
        gateway=network.gateway,
        mtu=network.mtu,
        name_servers=tuple(str(each) for each in network.dns),
        search=network.search,
    )


def nic(network: Network, handles: Handles) -> Nic | UserNic:
    if isinstance(network, UserNetwork):
        return UserNic(
            mac=network.vm_mac,
            subnet=network.subnet,
            host=network.gateway,
            guest=network.vm_address,
            dns=network.dns,
            host_name=network.host_name,
            search=network.search,
            forwards=network.forwards,
        )
    if handles.tap is None:
        raise ValueError("the VM's card on the bridge needs a tap")
    return Nic(network.vm_mac, network.mtu, handles.tap, handles.vhost)


def backings(pet: Pet, disks: Iterable[ExtraDisk]) -> dict[str, Backing]:
    """The file of each disk that the guest writes to, by the name of its block node."""
    found = {drives.PET_NODE: Backing(pet.path, pet.virtual_size, "qcow2")}
    for number, disk in enumerate(disks):
        size = None if disk.is_block else disk.size
        found[drives.extra_node(number)] = Backing(disk.path, size, "raw")
    return found


def machine(facts: Facts, storage: Storage, handles: Handles) -> Machine:
    """The VM's parts."""
    settings, network = facts.settings, facts.network
    overlay = facts.pet.place.disk
    seed = drive(facts)
    screen = vnc.server(network.pod_address, settings.vnc_password_file, settings.run_dir)
    config = ignition.path(settings.run_dir) if facts.inputs.ignition else None
    return Machine(
        name=settings.vm_name,
        uuid=facts.pet.uuid,
        cpus=settings.vm_cpus,
        memory=settings.vm_memory,
        accelerator=facts.accelerator.accelerator,
        pet=PetDisk(overlay, storage.base, overlay in storage.direct, storage.aio),
        disks=tuple(
            RawDisk(each.path, each.is_block, each.path in storage.direct, storage.aio)
            for each in facts.disks
        ),
        seed=Seed(seed.path, settings.config_drive_bus) if seed else None,
        nic=nic(network, handles),
        monitor=handles.monitor,
        console=handles.console,
        console_log=handles.console_log,
        agent=handles.agent,
        vnc=None if settings.no_vnc else screen,
        fw_cfg=tuple(FwCfg(name, config) for name in ignition.FW_CFG_NAMES) if config else (),
        arguments=facts.arguments,
    )
