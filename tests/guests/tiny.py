"""The tiny guest: Debian's cloud kernel, busybox and dropbear, with ssh seconds after power-on.

What it offers to tests:

- ssh for root with the keys of the config drive (user-data or meta-data), no passwords; the host
  key is kept on the disk;
- the config drive at /config, the DHCP lease as shell variables in /run/lease;
- /data, a journalled ext4 filesystem, unmounted before power off and reboot;
- the power button (ACPI), a real qemu-ga when the machine has its port, pvpanic;
- a root shell on ttyS0 and tty1 without a password; ``ssh ready`` and then ``tiny login ready``
  as lines on both consoles;
- all of busybox (its nc, wget, httpd, ping ...) and ``nc.openbsd`` for UDP; for SCTP,
  ``modprobe sctp`` and then ``LD_PRELOAD=/usr/lib/libwithsctp.so.1 nc.openbsd -l`` to listen,
  ``sctp_darn`` to connect. Nothing listens but ssh.

Lines in user-data, or words on the kernel's command line, that make it a worse guest:
``# berth-no-agent`` (no guest agent), ``# berth-ignore-acpi`` (deaf to the power button).
"""

import shutil
from pathlib import Path

from tests.guests import bootdisk, cache, commands, debs, initramfs, kernel
from tests.guests.commands import require_packages, run

DEBIAN_PACKAGES = (
    *bootdisk.DEBIAN_PACKAGES,
    *debs.DEBIAN_PACKAGES,
    *initramfs.DEBIAN_PACKAGES,
)

_FILES = Path(__file__).with_suffix("")
RECIPE = (
    Path(__file__),
    _FILES,
    *(Path(str(module.__file__)) for module in (bootdisk, commands, debs, initramfs, kernel)),
)

_MIB = 1 << 20

# Emulated processors have nothing to mitigate, and a guest without secrets needs no address space
# layout of its own, no security modules and no self-tests of ciphers: each costs a tenth of a
# second of emulated boot or more. Expediting RCU hurts on many processors; here there is one. The
# kernel checks its timer by how often it ticks meanwhile: an emulated processor that waits for a
# real one fails, and the kernel goes no further. Under KVM it leaves that check out by itself.
_CMDLINE = (
    "console=tty0 console=ttyS0,115200 quiet panic=1"
    " mitigations=off nokaslr lsm= cryptomgr.notests rcupdate.rcu_expedited=1 no_timer_check"
)

_PACKAGES = (
    "busybox-static",
    "dropbear-bin",
    "lksctp-tools",
    "netcat-openbsd",
    "qemu-guest-agent",
)

# Path in the unpacked packages -> path in the guest. The first ones are in the initramfs; the
# others are mounted at /usr when ssh is up, because what is in the initramfs is read by the BIOS
# and unpacked before anything else happens.
_PROGRAMS_FIRST = {
    "usr/sbin/dropbear": "sbin/dropbear",
    "usr/bin/dropbearkey": "bin/dropbearkey",
}
_PROGRAMS_LATER = {
    "usr/sbin/qemu-ga": "sbin/qemu-ga",
    "usr/bin/nc.openbsd": "bin/nc.openbsd",
    "usr/bin/sctp_darn": "bin/sctp_darn",
    "usr/lib/x86_64-linux-gnu/lksctp-tools/libwithsctp.so.1": "lib/libwithsctp.so.1",
}

_MODULES_FIRST = ("virtio_pci", "virtio_net", "virtio_blk", "isofs", "virtio_rng")
_MODULES_SCSI = ("virtio_scsi", "sr_mod", "sd_mod")
_MODULES_LATER = (
    "button",
    "evdev",
    "pvpanic_mmio",
    "pvpanic_pci",
    "virtio_balloon",
    "virtio_console",
)
_MODULES_ON_DEMAND = ("sctp",)


def image() -> Path:
    """Path of the finished image, which is built first when the cache does not have it.

    :raise MissingPackagesError: when it must be built and the tools for it are not installed.
    """
    return cache.image("tiny", RECIPE, _build)


def _build(work: Path) -> Path:
    require_packages(DEBIAN_PACKAGES)
    debian = work / "debian"
    apt = debs.Apt(work / "apt")
    apt.unpack(_PACKAGES, debian, dependencies=True)
    apt.unpack([apt.kernel()], debian, dependencies=False)
    linux = kernel.Kernel.under(debian)

    root, usr = work / "root", work / "usr"
    _make_root(root)
    _add_programs(debian, root, usr)
    _add_modules(linux, root, usr)

    image = work / "tiny.qcow2"
    boot = bootdisk.Boot(linux.image, initramfs.pack(root), _CMDLINE)
    filesystems = [
        bootdisk.Ext4("tiny-usr", 16 * _MIB, usr, journal=False),
        # The last one, so that a bigger disk has its room after it.
        bootdisk.Ext4("tiny-data", 32 * _MIB),
    ]
    bootdisk.write_qcow2(image, boot, filesystems)
    return image


def _make_root(root: Path) -> None:
    """Everything in the initramfs but programs and modules."""
    for folder in (
        "config", "data", "dev", "etc/acpi/PWRF", "proc", "root/.ssh", "run", "sbin", "sys", "tmp",
        "usr",
    ):  # fmt: skip
        (root / folder).mkdir(parents=True)
    # sshd's rule, which dropbear keeps too: only root may write where root's keys are.
    (root / "root/.ssh").chmod(0o700)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/os-release").write_text('ID=tiny\nNAME="Tiny guest"\nPRETTY_NAME="Tiny guest"\n')
    for name, place in (
        ("init", "init"),
        ("lease", "etc/lease"),
        ("hostname.sh", "etc/hostname.sh"),
        # The event of ACPI's power button as busybox's acpid spells it.
        ("power-button", "etc/acpi/PWRF/00000080"),
        ("shutdown", "sbin/shutdown"),
    ):
        shutil.copy(_FILES / name, root / place)


def _add_programs(debian: Path, root: Path, usr: Path) -> None:
    # Called by the kernel itself.
    (root / "sbin/modprobe").symlink_to("/bin/busybox")
    first = _copy_programs(debian, _PROGRAMS_FIRST, root)
    later = _copy_programs(debian, _PROGRAMS_LATER, usr)
    _copy_libraries(first, root)
    _copy_libraries(later - first, usr)

    (usr / "bin").mkdir(exist_ok=True)
    for name in run(initramfs.add_busybox(debian, root), "--list").split():
        (usr / "bin" / name).symlink_to("/bin/busybox")


def _copy_programs(debian: Path, programs: dict[str, str], target: Path) -> set[Path]:
    """Copy programs to their places and return the libraries that they need."""
    for source, place in programs.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(debian / source, target / place)
    return debs.libraries(debian, [debian / source for source in programs])


def _copy_libraries(libraries: set[Path], target: Path) -> None:
    for library in libraries:
        # The loader's path is part of each program, by the x86-64 ABI.
        folder = target / ("lib64" if library.name.startswith("ld-linux") else "lib")
        folder.mkdir(exist_ok=True)
        shutil.copy(library, folder)


def _add_modules(linux: kernel.Kernel, root: Path, usr: Path) -> None:
    """Copy modules, and write what modprobe and /init read about them."""
    folder = root / "lib/modules" / linux.version
    first = kernel.copy_modules(linux, (*_MODULES_FIRST, *_MODULES_SCSI), folder)
    later = kernel.copy_modules(linux, (*_MODULES_LATER, *_MODULES_ON_DEMAND), usr / "lib/modules")
    paths = {name: f"/usr/lib/modules/{name}.ko" for name in later}
    paths |= {name: f"{name}.ko" for name in first}
    kernel.write_dependencies(folder, later | first, paths)
    lists = {"FIRST": _MODULES_FIRST, "SCSI": _MODULES_SCSI, "LATER": _MODULES_LATER}
    (root / "etc/modules").write_text(
        "".join(
            f"MODULES_{when}='{' '.join(name for name in names if name in paths)}'\n"
            for when, names in lists.items()
        )
    )
