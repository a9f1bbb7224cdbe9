"""Start the VM, and take everything down again after it: the one ExitStack.

What costs time is done where nobody waits for it. QEMU is started as soon as the descriptors it
inherits are open; it initialises while the config drive is filled, the links and the NAT rules
are made and the libraries for all that are imported. Only then is it told to run. So imports stand
inside functions here wherever QEMU does not need what they bring.
"""

import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.disk import holder, leftover, pet, stale
from launcher.disk.holder import Holder
from launcher.disk.request import Request
from launcher.host import access, unix
from launcher.host.account import Account
from launcher.host.errors import RightMissing, StorageError
from launcher.host.log import step
from launcher.image.base import Base
from launcher.image.store import hiding, verify
from launcher.life import assembly, control, state
from launcher.life.facts import Facts, look
from launcher.life.launch import hand_over, launch
from launcher.life.needed import Need
from launcher.life.outcome import Outcome, outcome
from launcher.life.state import Phase
from launcher.net import ports, tap
from launcher.net.network import Network
from launcher.net.topology import Topology
from launcher.net.user import UserNetwork
from launcher.seed import iso
from launcher.settings.table import Settings

if TYPE_CHECKING:
    from launcher.life.service import Service

logger = logging.getLogger("startvm")


def start(settings: Settings, arguments: tuple[str, ...]) -> int:
    """Start the VM and stay with it to its end. Returns the exit code.

    :raise LauncherError: when it cannot be started; nothing that was set up is left.
    """
    hiding.recover(settings.shared_dir)
    facts = look(settings, arguments)
    unasked = settings.accel == "auto" and facts.accelerator.accelerator == "tcg"
    logger.log(logging.WARNING if unasked else logging.INFO, "running with %s", facts.accelerator)
    for notice in facts.notices:
        logger.warning("%s", notice)
    make_run_dir(settings.run_dir, facts.account)
    state.write(settings.run_dir, Phase.STARTING)
    with unix.listening(control.path(settings.run_dir)) as door:
        if facts.asked:
            facts = carried_out(facts, facts.asked)
        leftover.remove(facts.pet.place)
        with ExitStack() as stack:
            result = run(facts, door, stack)
        report(result)
        if result.stay:
            stay_off(settings.run_dir, result)
    return result.exit_code


def carried_out(facts: Facts, asked: Request) -> Facts:
    """Do to the disk what was asked for before the VM was shut down, and look again."""
    from launcher.life import pending

    logger.info("told to %s before the VM starts", asked)
    state.remember(facts.settings.run_dir, Phase.STARTING, f"told to {asked}")
    pending.carry_out(facts.settings, asked, facts.account)
    return look(facts.settings, facts.arguments)


def make_run_dir(run_dir: Path, account: Account | None) -> None:
    """Only we may look into it: whoever reaches the monitor or the console has the VM. `account`,
    QEMU's user, may pass through it to the files that are given to it.

    A volume that belongs to somebody else stays as it is; what we put there is closed by itself.
    """
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if run_dir.stat().st_uid == os.geteuid():
            run_dir.chmod(0o700)
    except OSError as err:
        raise StorageError(f"RUN_DIR={str(run_dir)!r} cannot be made: {err.strerror}") from err
    if not access.may(None, run_dir, access.READ_WRITE | access.ENTER):
        raise RightMissing(
            f"RUN_DIR={str(run_dir)!r} may not be written to: {access.described(run_dir)}",
            hint="for a user other than root mount an emptyDir there, with fsGroup",
        )
    access.grant(run_dir, account, access.ENTER)


def run(facts: Facts, door: socket.socket, stack: ExitStack) -> Outcome:
    """From what was found to the end of QEMU; what it needs is left on `stack`."""
    settings, place = facts.settings, facts.pet.place
    if isinstance(facts.network, UserNetwork):
        ports.check(facts.network.forwards, facts.account)
    need = Need(settings.shared_dir, facts.pet, settings.pod_namespace or "")
    with need.secured(lambda: fetched(facts)) as base:
        verify.as_asked(settings, base, telling(settings.run_dir))
        with step(logger, "the pet's disk"):
            made = pet.apply(facts.with_base(base), facts.account)
    seed = assembly.drive(facts)
    if seed:
        iso.reserve(seed.path, iso.capacity(seed.tree), facts.account)
    hand_over(facts, base)
    monitor, child = launch(facts, base, stack)

    def prepare() -> "list[Service]":
        # QEMU has its disks open by now, and locked.
        stale.refuse(place, made)
        stack.enter_context(holder.held(place, ourselves(facts)))
        need.renew(base)
        if seed:
            with step(logger, "the config drive"):
                iso.write(seed.tree, seed.label, seed.path)
        with step(logger, "the network"):
            services = connect(facts, facts.network, stack)
        logger.info("%s", facts.network.summary)
        # What is there by now stays, so it is not worth looking through ever again.
        gc.freeze()
        gc.enable()
        return services

    # The event loop and the QMP library are imported while QEMU initialises.
    from launcher.life.supervisor import Vm, supervise

    vm = Vm(
        name=settings.vm_name,
        qemu=child,
        monitor=monitor,
        door=door,
        agent_socket=assembly.agent_path(settings.run_dir),
        run_dir=settings.run_dir,
        stop_timeout=settings.stop_timeout,
        disks=assembly.backings(made, facts.disks),
        pet=place,
    )
    end = supervise(vm, prepare)
    in_use = {str(place.disk): holder.in_use(place)}
    return outcome(end, settings.on_poweroff, settings.on_crash, in_use)


def ourselves(facts: Facts) -> Holder:
    settings = facts.settings
    return holder.ourselves(
        address=str(facts.network.pod_address),
        namespace=settings.pod_namespace or "",
        node=settings.node_name or "",
        uid=settings.pod_uid or "",
    )


def fetched(facts: Facts) -> Base:
    """The base of a pet that is new, and whose image is not there either."""
    from launcher.image import fetch

    # A right that is missing is told before gigabytes are fetched.
    if isinstance(facts.network, Topology):
        with tap.open_tap(facts.network.port):
            pass

    return fetch.ensure(facts.settings, facts.account, telling(facts.settings.run_dir))


def telling(run_dir: Path) -> Callable[[str], None]:
    """What shows to probes and people how far a start is that takes its time."""

    begun = state.read(run_dir)

    def tell(progress: str) -> None:
        state.remember(run_dir, Phase.STARTING, progress, begun.since if begun else None)

    return tell


def connect(facts: Facts, network: Network, stack: ExitStack) -> "list[Service]":
    """Lead the pod's network to the VM; undone with `stack`. Returns what has to keep running."""
    if isinstance(network, UserNetwork):
        return []
    from launcher.life.service import Service
    from launcher.net.apply import apply
    from launcher.net.dnsmasq import argv

    settings = facts.settings
    debug = settings.log_level == "debug"
    dhcp = stack.enter_context(apply(network, settings.nat_backend, settings.run_dir, debug=debug))
    return [Service(dhcp, argv(settings.run_dir))] if dhcp else []


def report(result: Outcome) -> None:
    """Say how it ended, as loudly as it is bad."""
    text = f"{result.text} (hint: {result.hint})" if result.hint else result.text
    logger.log(logging.ERROR if result.exit_code else logging.INFO, "%s", text)


def stay_off(run_dir: Path, result: Outcome) -> None:
    """Keep the container up with the VM off until we are told to stop."""
    state.write(run_dir, Phase.OFF, result.text)
    logger.info("the VM stays off; restart the container to start it again")
    # Blocked since the VM ended, so one that came meanwhile is still pending.
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
