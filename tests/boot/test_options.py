"""QEMU's own word on each command line whose text the goldens hold; no guest runs."""

import asyncio
import itertools
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import pytest

from launcher.host import storage
from launcher.host.process import Child, spawn
from launcher.host.unix import listening
from launcher.life.children import relay
from launcher.life.monitor import MonitorLost, connect
from launcher.machine import qemu
from launcher.machine.devices import Fd, Machine, PetDisk, RawDisk, UserNic, Vnc
from launcher.settings.hostfwd import forwards
from tests.unit.machine.machines import MACHINES

SCREENS = (IPv4Address("127.0.59.1"), IPv4Address("127.0.59.2"))


def qemu_img(*argv: str | Path) -> None:
    subprocess.run(["qemu-img", *argv], check=True, capture_output=True)


class Ends(NamedTuple):
    """Descriptors of ours in the place of those that the machine names."""

    monitor: Fd
    log: Fd
    console: Fd
    agent: Fd


def moved(machine: Machine, folder: Path, ends: Ends) -> Machine:
    """`machine` as it could be here: its files below `folder`, with something in them."""

    def move(path: Path) -> Path:
        here = folder / path.relative_to("/")
        here.parent.mkdir(parents=True, exist_ok=True)
        return here

    def full(path: Path) -> Path:
        here = move(path)
        here.write_bytes(b"secret\n".ljust(1 << 20, b"\0") if here.suffix else b"secret")
        return here

    base, overlay = move(machine.pet.base), move(machine.pet.overlay)
    qemu_img("create", "-q", "-f", "qcow2", base, "64M")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay)
    direct = storage.supports_direct(overlay)
    aio = storage.choose_aio(direct)
    nic, vnc = machine.nic, machine.vnc
    if isinstance(nic, UserNic) and nic.forwards:
        nic = nic._replace(forwards=forwards("tcp:127.0.59.1:5922-:22,udp:127.0.59.1:5953-:53"))
    if vnc:
        vnc = Vnc(SCREENS, full(vnc.password_file) if vnc.password_file else None)
    return machine._replace(
        memory=256 << 20,
        accelerator="tcg",
        pet=PetDisk(overlay, base, direct, aio),
        disks=tuple(
            RawDisk(full(each.path), block=False, direct=direct, aio=aio) for each in machine.disks
        ),
        nic=nic,
        seed=machine.seed._replace(path=full(machine.seed.path)) if machine.seed else None,
        monitor=ends.monitor,
        console=ends.console if isinstance(machine.console, Fd) else move(machine.console),
        console_log=ends.log if isinstance(machine.console_log, Fd) else folder / "con,sole.log",
        agent=ends.agent if isinstance(machine.agent, Fd) else move(machine.agent),
        vnc=vnc,
        fw_cfg=tuple(each._replace(path=full(each.path)) for each in machine.fw_cfg),
        arguments=(),
    )


def without_tap(argv: Sequence[str]) -> list[str]:
    """The same with a network that takes no right and no namespace."""
    words = itertools.pairwise(["", *argv])
    return [
        "user,id=net0" if before == "-netdev" and word.startswith("tap,") else word
        for before, word in words
    ]


async def ask(child: Child, ours: socket.socket) -> tuple[str, set[str], tuple[str, ...]]:
    """QEMU's status, its block nodes, and what it says on stderr until it was told to quit."""
    words = asyncio.ensure_future(relay(child))
    try:
        async with connect(ours) as monitor:
            status = (await monitor.execute("query-status"))["status"]
            nodes = await monitor.execute("query-named-block-nodes")
            await monitor.execute("quit")
    except MonitorLost:
        pytest.fail("\n".join(await words))
    return status, {each["node-name"] for each in nodes}, await words


@pytest.mark.parametrize("name", sorted(set(MACHINES) - {"kvm-vhost", "arguments"}))
def test_qemu_takes_it(name: str, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ExitStack() as stack:
        console, agent = (
            stack.enter_context(listening(tmp_path / each)) for each in ("console", "agent")
        )
        with theirs, console, agent, (tmp_path / "log").open("ab") as log:
            ends = Ends(*(Fd(each.fileno()) for each in (theirs, log, console, agent)))
            argv = without_tap(qemu.argv(moved(MACHINES[name], tmp_path, ends)))
            passed = [each.number for each in ends]
            child = stack.enter_context(spawn("qemu", argv, pass_fds=passed, capture_stderr=True))
        status, nodes, words = asyncio.run(ask(child, ours))
        assert child.stop(grace=10) == 0
    # It says nothing: an option that is about to be withdrawn would be warned of.
    assert words == ()
    assert status == "prelaunch"
    drives = {"base", "pet", *(f"disk{number}" for number in range(len(MACHINES[name].disks)))}
    assert drives | ({"seed"} if MACHINES[name].seed else set()) <= nodes
