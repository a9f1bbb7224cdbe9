"""The one table of settings: name, default, parser and meaning in one place.

`Settings` is both the table and its result: each field has its row in the place of a default, so a
setting cannot be parsed under one name and documented under another. `load` makes settings of it,
with a value for every field, and `reference` prints it.
"""

from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal, NamedTuple

from launcher.host.log import LEVELS
from launcher.settings import parse
from launcher.settings.hostfwd import Forward, forwards

MIB = 1 << 20
GIB = 1 << 30

# What QEMU's q35 board takes without an interrupt remapper.
MOST_CPUS = 255


class Row(NamedTuple):
    """What is known of one setting besides its type.

    `aliases` are further names with a parser of their own (another unit, say). `default_text`
    says in words what a default that depends on something else is. `is_address`: may hold
    credentials, so it is shown without them.
    """

    name: str
    group: str
    parser: Callable[[str], Any]
    meaning: str
    default: Any
    default_text: str
    aliases: dict[str, Callable[[str], Any]]
    is_address: bool


def setting(
    group: str,
    name: str,
    parser: Callable[[str], Any],
    meaning: str,
    *,
    default: Any = None,
    default_text: str = "",
    aliases: dict[str, Callable[[str], Any]] | None = None,
    is_address: bool = False,
) -> Any:
    """The row of a field of `Settings`, typed as whatever that field is."""
    return Row(name, group, parser, meaning, default, default_text, aliases or {}, is_address)


class Settings(NamedTuple):
    img_source: str | None = setting(
        "Image",
        "IMG_SOURCE",
        parse.source,
        "Where the VM's image comes from: an http(s) URL, or a full path in the container. qcow2, "
        "raw, VMDK, VHDX and VDI images, plain or packed with gz, xz, zst or bz2, also as the one "
        "disk in a tar or OVA archive. Needed unless the base is on the shared volume already.",
        is_address=True,
    )
    img_target: str = setting(
        "Image",
        "IMG_TARGET",
        parse.target,
        "The base's name on the shared volume. A full path is taken as the image itself.",
        default="",
        default_text="last part of IMG_SOURCE",
    )
    img_checksum: parse.Checksum | None = setting(
        "Image",
        "IMG_CHECKSUM",
        parse.checksum,
        "What the fetched bytes must hash to: `sha256:…`, `sha512:…`, or the URL of a SHA256SUMS "
        "or SHA512SUMS file that lists the source's file name.",
        is_address=True,
    )
    img_max_size: int = setting(
        "Image",
        "IMG_MAX_SIZE",
        parse.size,
        "The largest image that is accepted: bytes of the disk it claims to be, of what arrives, "
        "and of what comes out of its packing. Whatever it is, a qcow2 image may have 4 TiB in "
        "clusters of 64 KiB, as they usually are, and 256 GiB in clusters of 4 KiB.",
        default=2048 * GIB,
        default_text="2T",
    )
    img_verify: Literal["quick", "full"] = setting(
        "Image",
        "IMG_VERIFY",
        parse.one_of("quick", "full"),
        "How each start sees whether somebody altered the base, which is refused then. `quick` "
        "compares size and time of change with its record. `full` also reads it to its end and "
        "compares its sha256: one to three seconds for each GiB of its file, or as long as the "
        "shared volume takes to deliver it.",
        default="quick",
    )
    img_headers_file: Path | None = setting(
        "Image",
        "IMG_HEADERS_FILE",
        parse.path,
        "A file with headers that the server of IMG_SOURCE, and no other, wants to see, each in a "
        "line: `Authorization: Bearer …`.",
    )
    img_netrc_file: Path | None = setting(
        "Image",
        "IMG_NETRC_FILE",
        parse.path,
        "A file with users and passwords by host, as curl and ftp have it in `~/.netrc`. Its "
        "`default` is for the server of IMG_SOURCE only, and nothing of it is sent without TLS "
        "where IMG_SOURCE is an https address. Where IMG_HEADERS_FILE is set too, one of the two "
        "files may be missing.",
    )
    fetch_stall_timeout: int = setting(
        "Image",
        "FETCH_STALL_TIMEOUT",
        parse.whole(1, 3600),
        "Seconds without a byte after which a connection is given up, and made again.",
        default=60,
    )
    fetch_timeout: int = setting(
        "Image",
        "FETCH_TIMEOUT",
        parse.whole(1, 30 * 86400),
        "Seconds that a download may take. What came until then is kept for the next start, if the "
        "server can send parts of a file.",
        default=4 * 3600,
    )
    vm_name: str = setting(
        "VM",
        "VM_NAME",
        parse.host_name,
        "The pet's name: its disk's file name and the guest's host name.",
        default="",
        default_text="the container's host name",
    )
    vm_cpus: int = setting(
        "VM",
        "VM_CPUS",
        parse.whole(1, MOST_CPUS),
        "Number of virtual CPUs.",
        default=1,
        default_text="the container's CPU limit rounded up, else 1",
        aliases={"IMG_VCPU": parse.whole(1, MOST_CPUS)},
    )
    vm_memory: int = setting(
        "VM",
        "VM_MEMORY",
        parse.size,
        "The guest's memory. `IMG_RAM_MB` is the same in MiB.",
        default=GIB,
        default_text="the container's memory limit less what the launcher and QEMU need, else 1G",
        aliases={"IMG_RAM_MB": parse.mebibytes},
    )
    vm_disk_size: int | None = setting(
        "VM",
        "VM_DISK_SIZE",
        parse.size,
        "Size of the pet's disk. It only ever grows, at the VM's next start.",
        default_text="the base's size",
    )
    on_smaller_size: Literal["refuse", "keep"] = setting(
        "VM",
        "ON_SMALLER_SIZE",
        parse.one_of("refuse", "keep"),
        "When VM_DISK_SIZE is less than the pet's disk has: `refuse` does not start the VM, `keep` "
        "starts it with the disk as it is. Both tell both sizes.",
        default="refuse",
    )
    accel: Literal["auto", "kvm", "tcg"] = setting(
        "VM",
        "ACCEL",
        parse.one_of("auto", "kvm", "tcg"),
        "`kvm`, or `tcg` to emulate. `auto` takes KVM where it works and says in one line what it "
        "chose and why.",
        default="auto",
    )
    qemu_user: str | None = setting(
        "VM",
        "QEMU_USER",
        parse.user,
        "The user that QEMU and qemu-img run as, without any capability: a name or number of "
        "the container's /etc/passwd. startvm has to be root, or that user already. What QEMU has "
        "to open is given to that user's group.",
        default_text="none, which is whoever startvm is; the container's image sets `qemu`",
    )
    network: Literal["nat", "user"] = setting(
        "Network",
        "NETWORK",
        parse.one_of("nat", "user"),
        "`nat`: every port of the pod's address leads to the VM, which takes the capability "
        "NET_ADMIN. `user`: QEMU's own network stack, which takes none; `HOSTFWD` says what comes "
        "in, and what the guest sends to VM_GW reaches the pod's loopback.",
        default="nat",
    )
    hostfwd: tuple[Forward, ...] = setting(
        "Network",
        "HOSTFWD",
        forwards,
        "With `NETWORK=user`, the ports that lead to the VM, in QEMU's words: "
        "`tcp::2222-:22,udp::53-:53` (`hostfwd=` may stand before each).",
        default=(),
    )
    vm_ip: IPv4Address = setting(
        "Network",
        "VM_IP",
        parse.address,
        "The VM's own address, which it gets by DHCP.",
        default=IPv4Address("192.168.254.2"),
    )
    vm_gw: IPv4Address = setting(
        "Network",
        "VM_GW",
        parse.address,
        "The VM's gateway: the bridge, or QEMU itself. Both are the two hosts of one /30.",
        default=IPv4Address("192.168.254.1"),
    )
    no_dhcp: bool = setting(
        "Network",
        "NO_DHCP",
        parse.flag,
        "Yes: no DHCP server; the config drive then describes the network instead.",
        default=False,
    )
    pod_ports: tuple[parse.Port, ...] = setting(
        "Network",
        "POD_PORTS",
        parse.ports,
        "Further ports that stay with the pod, such as `tcp/9180,udp/53`.",
        default=(),
        default_text="none; TCP 5900 stays with the pod unless NO_VNC is set",
    )
    nat_backend: Literal["auto", "nft", "iptables"] = setting(
        "Network",
        "NAT_BACKEND",
        parse.one_of("auto", "nft", "iptables"),
        "`nft`, or `iptables` for kernels that have only the legacy tables. `auto` takes nft where "
        "it works.",
        default="auto",
    )
    userdata_file: Path = setting(
        "Configuration of the guest",
        "USERDATA_FILE",
        parse.path,
        "User-data, passed to the guest byte for byte: a file, or a folder holding a file of the "
        "same name.",
        default=Path("/userdata"),
    )
    metadata_file: Path = setting(
        "Configuration of the guest",
        "METADATA_FILE",
        parse.path,
        "Metadata in YAML or JSON, laid over what Berth generates: a file, or a folder holding a "
        "file of the same name.",
        default=Path("/metadata"),
    )
    cloud_config_file: Path | None = setting(
        "Configuration of the guest",
        "CLOUD_CONFIG_FILE",
        parse.path,
        "A cloud-config to use as user-data in place of USERDATA_FILE.",
    )
    ignition_config_file: Path | None = setting(
        "Configuration of the guest",
        "IGNITION_CONFIG_FILE",
        parse.path,
        "An Ignition config, handed to the guest by fw_cfg (Fedora CoreOS, Flatcar).",
    )
    config_drive: Literal["openstack", "nocloud", "none"] = setting(
        "Configuration of the guest",
        "CONFIG_DRIVE",
        parse.one_of("openstack", "nocloud", "none"),
        "The kind of config drive: OpenStack's (label `config-2`), cloud-init's NoCloud (label "
        "`cidata`), or none.",
        default="openstack",
    )
    config_drive_bus: Literal["virtio", "sata", "scsi"] = setting(
        "Configuration of the guest",
        "CONFIG_DRIVE_BUS",
        parse.one_of("virtio", "sata", "scsi"),
        "How it is attached. `sata` and `scsi` make it a CD-ROM, which Windows needs; Debian's "
        "cloud kernel has no SATA.",
        default="virtio",
    )
    no_vnc: bool = setting(
        "Access",
        "NO_VNC",
        parse.flag,
        "Yes: no VNC server, and port 5900 belongs to the VM like all others.",
        default=False,
    )
    vnc_password_file: Path | None = setting(
        "Access",
        "VNC_PASSWORD_FILE",
        parse.path,
        "A file with the VNC password (VNC itself counts only its first 8 characters).",
        default_text="none: whoever reaches the pod's port 5900 sees the screen",
    )
    stop_timeout: int = setting(
        "Life",
        "STOP_TIMEOUT",
        parse.whole(2, 86400),
        "Seconds from SIGTERM to the end. Keep it equal to terminationGracePeriodSeconds.",
        default=30,
    )
    on_poweroff: Literal["restart", "stay"] = setting(
        "Life",
        "ON_POWEROFF",
        parse.one_of("restart", "stay"),
        "When the guest powers itself off: `restart` ends the container, so that Kubernetes starts "
        "the VM again; `stay` leaves the container up, not ready, with the VM off.",
        default="restart",
    )
    on_crash: Literal["restart", "stay"] = setting(
        "Life",
        "ON_CRASH",
        parse.one_of("restart", "stay"),
        "The same for a guest that panics (seen through its pvpanic device).",
        default="restart",
    )
    node_name: str | None = setting(
        "Pod",
        "NODE_NAME",
        parse.host_name,
        "The node that the pod runs on. It and the next two are told to whoever finds the pet in "
        "use.",
    )
    pod_namespace: str | None = setting(
        "Pod", "POD_NAMESPACE", parse.host_name, "The pod's namespace."
    )
    pod_uid: str | None = setting("Pod", "POD_UID", parse.host_name, "The pod's UID.")
    log_level: str = setting(
        "Log", "LOG_LEVEL", parse.one_of(*LEVELS), "How much to log.", default="info"
    )
    log_format: Literal["text", "json"] = setting(
        "Log",
        "LOG_FORMAT",
        parse.one_of("text", "json"),
        "Berth's own lines, on stderr. The guest's serial console is on stdout.",
        default="text",
    )
    shared_dir: Path = setting(
        "Paths",
        "SHARED_DIR",
        parse.path,
        "The shared volume, which holds the bases.",
        default=Path("/shared"),
        default_text="/shared; /image where only that is mounted",
    )
    pet_dir: Path = setting(
        "Paths",
        "PET_DIR",
        parse.path,
        "The pet's own volume, which holds its disk and its record.",
        default=Path("/pet"),
        default_text="/pet; /image where only that is mounted",
    )
    run_dir: Path = setting(
        "Paths",
        "RUN_DIR",
        parse.path,
        "Sockets, the config drive, dnsmasq's files and the state file.",
        default=Path("/run/berth"),
    )
    volumes_dir: Path = setting(
        "Paths",
        "VOLUMES_DIR",
        parse.path,
        "Extra raw disks: its files named `*.img`, in name order.",
        default=Path("/volumes"),
    )
    disks_dir: Path = setting(
        "Paths",
        "DISKS_DIR",
        parse.path,
        "Extra raw disks: each file or block device in it, in name order.",
        default=Path("/disks"),
    )

    def __repr__(self) -> str:
        """Nothing of the values: it ends up in tracebacks, and some hold credentials."""
        return f"<Settings of {self.vm_name}>"


def rows() -> dict[str, Row]:
    """The table: each field's name with its row, in the order of the reference page."""
    return Settings._field_defaults
