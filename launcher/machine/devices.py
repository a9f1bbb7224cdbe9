"""The parts of a VM as QEMU is to see them. Plain values: no part knows an option of QEMU's."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal, NamedTuple

from launcher.host.accelerator import Accelerator
from launcher.host.storage import Aio
from launcher.settings.hostfwd import Forward

Bus = Literal["virtio", "sata", "scsi"]


class Fd(NamedTuple):
    """A descriptor that QEMU inherits."""

    number: int


class PetDisk(NamedTuple):
    """The overlay and the base below it, both qcow2; `direct`: past the page cache."""

    overlay: Path
    base: Path
    direct: bool
    aio: Aio


class RawDisk(NamedTuple):
    """An extra disk; `block`: `path` is a block device rather than a file."""

    path: Path
    block: bool
    direct: bool
    aio: Aio


class Seed(NamedTuple):
    """The config drive's ISO and how it is attached."""

    path: Path
    bus: Bus


class Nic(NamedTuple):
    """`tap` is an open tap device, or the name of one that exists; `mtu` in bytes."""

    mac: str
    mtu: int
    tap: Fd | str
    vhost: Fd | None = None


class UserNic(NamedTuple):
    """A card on QEMU's own network stack. `host` is what the guest finds QEMU at, `dns` where it
    asks for names; an empty `host_name` is none."""

    mac: str
    subnet: IPv4Network
    host: IPv4Address
    guest: IPv4Address
    dns: IPv4Address
    host_name: str = ""
    search: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()


class Vnc(NamedTuple):
    """`addresses` are those that display 0 (TCP 5900) listens on."""

    addresses: tuple[IPv4Address, ...]
    password_file: Path | None = None


class FwCfg(NamedTuple):
    """A file that the guest finds in QEMU's firmware configuration under `name`."""

    name: str
    path: Path


class Machine(NamedTuple):
    """A whole VM. `memory` in bytes; `arguments` are the user's own for QEMU.

    `monitor` is where QMP is spoken: our end of a socket pair, or a path to listen on. `console`
    and `agent` are the sockets of the serial console and of the guest agent's port: ones that
    listen already, or paths to listen on; `console_log` takes what the guest prints on its console.
    """

    name: str
    uuid: str
    cpus: int
    memory: int
    accelerator: Accelerator
    pet: PetDisk
    nic: Nic | UserNic
    monitor: Fd | Path
    console: Fd | Path
    agent: Fd | Path
    console_log: Fd | Path | None = None
    disks: tuple[RawDisk, ...] = ()
    seed: Seed | None = None
    vnc: Vnc | None = None
    fw_cfg: tuple[FwCfg, ...] = ()
    arguments: tuple[str, ...] = ()
