"""Machines for tests: one that has every default, and its variations."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from launcher.machine.devices import Fd, FwCfg, Machine, Nic, PetDisk, RawDisk, Seed, UserNic, Vnc
from launcher.settings.hostfwd import forwards

RUN = Path("/run/berth")
BASE = Path("/shared/sha256-0123.qcow2")

SCREENS = (IPv4Address("10.1.2.3"), IPv4Address("127.0.0.1"))

PET = PetDisk(overlay=Path("/pet/web-0.qcow2"), base=BASE, direct=True, aio="io_uring")

NIC = Nic(mac="06:fe:12:34:56:78", mtu=1450, tap=Fd(5))

DEFAULT = Machine(
    name="web-0",
    uuid="3f8cbbd3-1f0c-4b0e-9d0a-3a5a1f6d3c11",
    cpus=2,
    memory=3 << 30,
    accelerator="tcg",
    pet=PET,
    nic=NIC,
    monitor=Fd(4),
    console=Fd(8),
    console_log=Fd(6),
    agent=Fd(9),
    seed=Seed(RUN / "seed.iso", "virtio"),
    vnc=Vnc(SCREENS),
)

USER = UserNic(
    mac="06:fe:12:34:56:78",
    subnet=IPv4Network("192.168.254.0/29"),
    host=IPv4Address("192.168.254.1"),
    guest=IPv4Address("192.168.254.2"),
    dns=IPv4Address("192.168.254.3"),
)

MACHINES: dict[str, Machine] = {
    "default": DEFAULT,
    "kvm-vhost": DEFAULT._replace(accelerator="kvm", nic=NIC._replace(vhost=Fd(7))),
    "planned": DEFAULT._replace(
        nic=NIC._replace(tap="vm0"),
        monitor=RUN / "qmp.sock",
        console=RUN / "console.sock",
        console_log=Path("/dev/stdout"),
        agent=RUN / "agent.sock",
    ),
    "seed-sata": DEFAULT._replace(seed=Seed(RUN / "seed.iso", "sata")),
    "seed-scsi": DEFAULT._replace(seed=Seed(RUN / "seed.iso", "scsi")),
    "no-seed": DEFAULT._replace(seed=None),
    "no-direct": DEFAULT._replace(pet=PET._replace(direct=False, aio="threads")),
    "extra-disks": DEFAULT._replace(
        disks=(
            RawDisk(Path("/volumes/a.img"), block=False, direct=True, aio="io_uring"),
            RawDisk(Path("/disks/b"), block=True, direct=False, aio="threads"),
        ),
    ),
    "vnc-password": DEFAULT._replace(vnc=Vnc(SCREENS, RUN / "vnc-password")),
    "no-vnc": DEFAULT._replace(vnc=None),
    "fw-cfg": DEFAULT._replace(
        fw_cfg=(
            FwCfg("opt/com.coreos/config", Path("/ignition")),
            FwCfg("opt/org.flatcar-linux/config", Path("/ignition")),
        ),
    ),
    "user": DEFAULT._replace(nic=USER),
    "user-all": DEFAULT._replace(
        nic=USER._replace(
            host_name="web-0",
            search=("default.svc.cluster.local", "cluster.local"),
            forwards=forwards("tcp:10.1.2.3:2222-:22,udp::5353-192.168.254.2:53"),
        ),
    ),
    "commas": DEFAULT._replace(
        name="a,b",
        console=Path("/r,un/console.sock"),
        agent=Path("/r,un/agent.sock"),
        monitor=Path("/r,un/qmp.sock"),
        console_log=Path("/r,un/console.log"),
        pet=PetDisk(Path("/p,et/a.qcow2"), Path("/s,hared/a.qcow2"), direct=True, aio="native"),
        disks=(RawDisk(Path("/volumes/a,readonly=on.img"), False, True, "native"),),
        seed=Seed(Path("/r,un/seed.iso"), "virtio"),
        vnc=Vnc(SCREENS, Path("/r,un/vnc-password")),
        fw_cfg=(FwCfg("opt/a,b", Path("/i,gnition")),),
    ),
    "arguments": DEFAULT._replace(arguments=("-device", "e1000,netdev=net1", "-snapshot")),
}
