"""All that `startvm` would do, worked out without doing any of it."""

from dataclasses import dataclass
from pathlib import Path

from launcher.access import console, vnc
from launcher.host import storage
from launcher.host.account import assumed
from launcher.life import assembly
from launcher.life.assembly import Handles, Storage
from launcher.life.facts import Facts, look
from launcher.machine import qemu
from launcher.net import dnsmasq
from launcher.net.describe import Description, describe
from launcher.net.nat import backend
from launcher.net.nat.plan import rules
from launcher.net.user import UserNetwork
from launcher.seed import ignition
from launcher.settings.source import redact
from launcher.settings.table import Settings

# Where an argv that can be pasted has its monitor; startvm's own is a socket pair.
MONITOR = "monitor.sock"


@dataclass(frozen=True, slots=True)
class Plan:
    """`user`: whom QEMU runs as, empty if as ourselves. `image`, `pet`, `links`: a line for each
    step. `network`: what leads to the VM. `nat`: the rules in the backend's language. There are
    neither links nor rules where QEMU's own network stack does it all.
    `files`: path → content, as far as it is text. `dnsmasq`, `qemu`: command lines; the former is
    empty where it is not needed."""

    accelerator: str
    user: str
    notices: tuple[str, ...]
    image: str
    pet: tuple[str, ...]
    network: str
    links: tuple[str, ...]
    nat_backend: str
    nat: str
    files: dict[str, str]
    dnsmasq: tuple[str, ...]
    qemu: tuple[str, ...]


def make(settings: Settings, arguments: tuple[str, ...]) -> Plan:
    """Plan with the settings and the pod as they are.

    :raise LauncherError: whatever `startvm` would refuse before it changes anything.
    """
    facts = look(settings, arguments)
    network = describe_network(facts)
    return Plan(
        accelerator=str(facts.accelerator),
        user=user(facts),
        notices=facts.notices,
        image=image(facts),
        pet=facts.pet.words(),
        network=facts.network.summary,
        links=network.links,
        nat_backend=network.nat_backend,
        nat=network.nat,
        files=files(facts, network),
        dnsmasq=network.dnsmasq_argv,
        qemu=tuple(argv(facts)),
    )


def describe_network(facts: Facts) -> Description:
    network, settings = facts.network, facts.settings
    if isinstance(network, UserNetwork):
        return Description()
    choice = backend.choose(settings.nat_backend, rules(network))
    return describe(network, choice, settings.run_dir)


def user(facts: Facts) -> str:
    account = facts.account
    if not account:
        return ""
    groups = ", ".join(map(str, account.groups)) or "none"
    return f"{account.name}: uid {account.uid}, gid {account.gid}, further groups: {groups}"


def image(facts: Facts) -> str:
    """One line on where the base comes from."""
    settings = facts.settings
    if facts.pet.base:
        return f"use the base {facts.pet.base.path}, made of {facts.pet.base.source}"
    return f"fetch {redact(settings.img_source or settings.img_target)} to {settings.shared_dir}"


def files(facts: Facts, network: Description) -> dict[str, str]:
    """What would be written below RUN_DIR, and the files on the config drive."""
    run_dir = facts.settings.run_dir
    written = {}
    if network.dnsmasq_conf:
        written[str(dnsmasq.config_path(run_dir))] = network.dnsmasq_conf
    if facts.vnc_password:
        written[str(vnc.password_path(run_dir))] = (
            f"(the password in {facts.settings.vnc_password_file})"
        )
    if facts.inputs.ignition:
        written[str(ignition.path(run_dir))] = (
            f"({len(facts.inputs.ignition)} bytes, the config in "
            f"{facts.settings.ignition_config_file})"
        )
    drive = assembly.drive(facts)
    if not drive:
        return written
    for file in drive.tree:
        # User-data may hold secrets, and is nobody's but the guest's to read.
        is_users = file.content == facts.inputs.userdata
        text = f"({len(file.content)} bytes of user-data)" if is_users else file.content.decode()
        written[f"{drive.path}:/{file.path}"] = text
    return written


def argv(facts: Facts) -> list[str]:
    """QEMU's command line with names in the place of the descriptors that startvm passes on, so
    that it can be pasted into a shell once the links are made."""
    run_dir = facts.settings.run_dir
    handles = Handles(
        monitor=run_dir / MONITOR,
        tap=None if isinstance(facts.network, UserNetwork) else facts.network.port,
        vhost=None,
        console=console.socket_path(run_dir),
        console_log=Path("/dev/stdout"),
        agent=assembly.agent_path(run_dir),
    )
    base = facts.pet.base.path if facts.pet.base else facts.settings.shared_dir / "the-base.qcow2"
    overlay = facts.pet.place.disk
    known = [path for path in (overlay, *(each.path for each in facts.disks)) if path.exists()]
    with assumed(facts.account):
        direct = frozenset(path for path in known if storage.supports_direct(path))
        aio = storage.choose_aio(direct=True)
    # A pet that is still to be made will be like the folder it is made in: on a disk.
    direct |= frozenset() if overlay.exists() else {overlay}
    return qemu.argv(assembly.machine(facts, Storage(base, aio, direct), handles))
