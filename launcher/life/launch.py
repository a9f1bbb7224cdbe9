"""QEMU's process: what it opens by itself, what it inherits, and its start, paused."""

import logging
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from launcher.access import console, vnc
from launcher.host import access, storage, unix
from launcher.host.accelerator import KVM
from launcher.host.account import Account, assumed
from launcher.host.process import Child, spawn
from launcher.image.base import Base
from launcher.life import assembly
from launcher.life.assembly import Handles, Storage
from launcher.life.facts import Facts
from launcher.machine import qemu
from launcher.machine.devices import Fd
from launcher.machine.options import paste
from launcher.net import tap
from launcher.net.topology import Topology
from launcher.seed import ignition

logger = logging.getLogger("startvm")


def hand_over(facts: Facts, base: Base) -> None:
    """What else QEMU opens by itself: its user gets at it, or else is told what is in the way."""
    run_dir, account = facts.settings.run_dir, facts.account
    if facts.vnc_password:
        access.hand_over(facts.vnc_password, vnc.password_path(run_dir), account)
    if facts.inputs.ignition:
        access.hand_over(facts.inputs.ignition, ignition.path(run_dir), account)
    access.grant(base.path, account, access.READ)
    for each in facts.disks:
        access.grant(each.path, account, access.READ_WRITE)
    if facts.accelerator.accelerator == "kvm":
        access.grant(KVM, account, access.READ_WRITE)


def launch(facts: Facts, base: Base, stack: ExitStack) -> tuple[socket.socket, Child]:
    """Start QEMU, paused. Returns our end of its monitor, and QEMU."""
    run_dir = facts.settings.run_dir
    ours, theirs = socket.socketpair()
    # Listened to by us: QEMU's user may not write to RUN_DIR, and we need no right to its sockets.
    ends = [console.socket_path(run_dir), assembly.agent_path(run_dir)]
    serial, agent = (stack.enter_context(unix.listening(each)) for each in ends)
    with theirs, serial, agent, ExitStack() as until_started:
        # QEMU's copy of it is what keeps the device: it goes with QEMU, however that ends.
        device = vhost = None
        if isinstance(facts.network, Topology):
            opened = until_started.enter_context(tap.open_tap(facts.network.port))
            device = Fd(opened.fd)
            vhost = Fd(opened.vhost_fd) if opened.vhost_fd is not None else None
        log = until_started.enter_context(console.log_to_stdout())
        handles = Handles(
            monitor=Fd(theirs.fileno()),
            tap=device,
            vhost=vhost,
            console=Fd(serial.fileno()),
            console_log=Fd(log),
            agent=Fd(agent.fileno()),
        )
        disks = [facts.pet.place.disk, *(each.path for each in facts.disks)]
        opened_how = how_to_open(base.path, disks, facts.account)
        machine = assembly.machine(facts, opened_how, handles)
        argv = qemu.argv(machine)
        logger.debug("QEMU's command line: %s", paste(argv))
        child = stack.enter_context(
            spawn(
                "qemu",
                argv,
                pass_fds=handles.inherited(),
                capture_stderr=True,
                account=facts.account,
            )
        )
    return ours, child


def how_to_open(base: Path, disks: Sequence[Path], account: Account | None) -> Storage:
    """Find out which disks open past the page cache, and how QEMU may wait for them: as the user
    that QEMU runs as, whom a file or the kernel may refuse what it gives to root."""
    with assumed(account):
        direct = frozenset(path for path in disks if storage.supports_direct(path))
        aio = storage.choose_aio(direct=len(direct) == len(disks))
    return Storage(base, aio, direct)
