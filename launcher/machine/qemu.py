"""A `Machine` → QEMU's command line. Pure, so that every line of it can be read in a golden."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from launcher.machine import drives, nics
from launcher.machine.devices import Fd, FwCfg, Machine, Vnc
from launcher.machine.options import Values, Words, escape, option

BINARY = "qemu-system-x86_64"
MIB = 1 << 20

# The fd set by which QEMU opens the descriptor of the console's log.
CONSOLE_LOG_SET = 1

# Size of TCG's code buffer in MiB. QEMU's own default is up to 1 GiB, which no container's memory
# limit expects; a Linux guest boots as fast with this.
TCG_BUFFER = 128


def argv(machine: Machine) -> list[str]:
    """QEMU's command line. The VM is made, but does not run until QMP says `cont`."""
    options = chain(
        board(machine),
        monitor(machine),
        console(machine),
        drives.options(machine),
        nics.options(machine.nic),
        helpers(machine),
        screen(machine.vnc),
        (firmware_config(item) for item in machine.fw_cfg),
    )
    return [BINARY, *chain.from_iterable(options), *machine.arguments]


def board(machine: Machine) -> Iterator[Words]:
    yield option("-name", "", {"guest": machine.name, "debug-threads": True})
    yield ("-uuid", machine.uuid)
    yield ("-S",)
    yield ("-nodefaults",)
    yield ("-no-user-config",)
    # Once it runs, QEMU needs no new program, no other user and no obsolete system call.
    denied = dict.fromkeys(("obsolete", "elevateprivileges", "spawn", "resourcecontrol"), "deny")
    yield option("-sandbox", "on", denied)
    legacy = dict.fromkeys(("smm", "vmport", "hpet", "dump-guest-core"), False)
    yield option("-machine", "q35", legacy)
    if machine.accelerator == "kvm":
        yield ("-accel", "kvm")
        yield ("-cpu", "host")
        # Ticks lost while the host was busy are made up for, or a Windows guest's clock falls back.
        yield option("-rtc", "", {"base": "utc", "driftfix": "slew"})
    else:
        yield option("-accel", "tcg", {"tb-size": TCG_BUFFER})
        # Without five-level page tables, which only make each walk through them longer.
        yield option("-cpu", "max", {"la57": False})
        yield option("-rtc", "", {"base": "utc"})
    cpus = machine.cpus
    yield option("-smp", "", {"cpus": cpus, "sockets": 1, "cores": cpus, "threads": 1})
    yield option("-m", "", {"size": f"{machine.memory // MIB}M"})
    yield option("-boot", "", {"menu": False, "strict": True})


def monitor(machine: Machine) -> Iterator[Words]:
    if isinstance(machine.monitor, Fd):
        yield option("-chardev", "socket", {"id": "qmp", "fd": machine.monitor.number})
    else:
        yield option("-chardev", "socket", listener("qmp", machine.monitor))
    yield option("-mon", "", {"chardev": "qmp", "mode": "control"})


def listener(name: str, place: Fd | Path) -> Values:
    """A socket that QEMU serves one client at a time on, whether there is one or not."""
    at: Values = {"fd": place.number} if isinstance(place, Fd) else {"path": place}
    return {"id": name, **at, "server": True, "wait": False}


def console(machine: Machine) -> Iterator[Words]:
    """The first serial port: on a socket for whoever attaches, and always into the log."""
    log = machine.console_log
    if isinstance(log, Fd):
        yield option("-add-fd", "", {"fd": log.number, "set": CONSOLE_LOG_SET})
    port = listener("console", machine.console)
    name = f"/dev/fdset/{CONSOLE_LOG_SET}" if isinstance(log, Fd) else log
    if name:
        port |= {"logfile": name, "logappend": True}
    yield option("-chardev", "socket", port)
    yield ("-serial", "chardev:console")


def helpers(machine: Machine) -> Iterator[Words]:
    """Devices by which host and guest get on: entropy, memory given back, agent, panic notice."""
    yield option("-object", "rng-random", {"id": "rng0", "filename": "/dev/urandom"})
    yield option("-device", "virtio-rng-pci", {"rng": "rng0"})
    yield option("-device", "virtio-balloon-pci", {"free-page-reporting": True})
    yield option("-device", "virtio-serial-pci", {"id": "serial0"})
    yield option("-chardev", "socket", listener("agent", machine.agent))
    # The name is the one that qemu-ga looks for in the guest.
    port = {"chardev": "agent", "name": "org.qemu.guest_agent.0"}
    yield option("-device", "virtserialport", port)
    yield ("-device", "pvpanic")


def screen(vnc: Vnc | None) -> Iterator[Words]:
    """A VGA card, which firmware and boot loaders write to whether anybody can look or not."""
    yield ("-device", "VGA")
    if not vnc:
        yield ("-display", "none")
        return
    # A tablet tells where the pointer is; a mouse's would drift away from the viewer's. Not a USB
    # one: with no controller to look through, emulated firmware is a quarter of a second faster.
    yield ("-device", "virtio-tablet-pci")
    first, *others = (f"{address}:0" for address in vnc.addresses)
    display = ",".join([first, *(f"vnc={each}" for each in others)])
    if vnc.password_file:
        secret: Values = {"id": "vnc-password", "file": vnc.password_file}
        yield option("-object", "secret", secret)
        display += ",password-secret=vnc-password"
    yield ("-vnc", display)


def firmware_config(item: FwCfg) -> Words:
    return ("-fw_cfg", f"name={escape(item.name)},file={escape(str(item.path))}")
