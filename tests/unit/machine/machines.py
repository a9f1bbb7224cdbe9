"""Machines for tests: one that has every default, to be varied by dataclasses.replace."""

from ipaddress import IPv4Address
from pathlib import Path

from launcher.machine.devices import Fd, Machine, Nic, PetDisk, Seed, Vnc

RUN = Path("/run/berth")
BASE = Path("/shared/sha256-0123.qcow2")

PET = PetDisk(overlay=Path("/pet/web-0.qcow2"), base=BASE, direct=True, aio="io_uring")

DEFAULT = Machine(
    name="web-0",
    uuid="3f8cbbd3-1f0c-4b0e-9d0a-3a5a1f6d3c11",
    cpus=2,
    memory=3 << 30,
    accelerator="tcg",
    pet=PET,
    nic=Nic(mac="06:fe:12:34:56:78", mtu=1450, tap=Fd(5)),
    monitor=Fd(4),
    console=RUN / "console.sock",
    console_log=Fd(6),
    agent=RUN / "agent.sock",
    seed=Seed(RUN / "seed.iso", "virtio"),
    vnc=Vnc((IPv4Address("10.1.2.3"), IPv4Address("127.0.0.1"))),
)
