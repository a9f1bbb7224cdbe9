"""The Debian guest: systemd, OpenSSH and the real cloud-init, as in Debian's own cloud images.

It differs from those where emulation would make a boot take minutes: an initramfs of one script,
no timers, an Ed25519 host key alone, SYSLINUX instead of GRUB. Its seed may be a config drive or
NoCloud; its root filesystem, on the disk's last partition, grows with the disk by cloud-init.
"""

import os
import shutil
from pathlib import Path

from tests.guests import bootdisk, bootstrap, cache, commands, initramfs, kernel
from tests.guests.commands import require_packages

DEBIAN_PACKAGES = (*bootdisk.DEBIAN_PACKAGES, *initramfs.DEBIAN_PACKAGES, "mmdebstrap")

_FILES = Path(__file__).with_suffix("")
RECIPE = (
    Path(__file__),
    _FILES,
    *(Path(str(module.__file__)) for module in (bootdisk, bootstrap, commands, initramfs, kernel)),
)

_SUITE = "bookworm"
_LABEL = "debian-root"
_SIZE = 1 << 30

_PACKAGES = (
    "busybox-static",  # for the initramfs
    "cloud-guest-utils",  # growpart
    "cloud-init",
    "dbus",  # systemd-logind, and with it the power button
    "e2fsprogs",
    "fdisk",  # growpart's sfdisk
    "iproute2",
    "iputils-ping",
    "linux-image-cloud-amd64",
    "openssh-server",
    "qemu-guest-agent",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
)
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")

# Nothing that a test would wait for, or that a machine of some minutes needs.
_MASKED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
)

# As for the tiny guest; these here are a stock system's security modules, so they stay.
_CMDLINE = (
    f"root=LABEL={_LABEL} console=tty0 console=ttyS0,115200 quiet panic=1"
    " mitigations=off nokaslr cryptomgr.notests rcupdate.rcu_expedited=1 no_timer_check"
)


def image() -> Path:
    """Path of the finished image, which is built first when the cache does not have it.

    :raise MissingPackagesError: when it must be built and the tools for it are not installed.
    :raise PermissionError: when it must be built by anybody but root.
    """
    return cache.image("debian", RECIPE, _build)


def _build(work: Path) -> Path:
    require_packages(DEBIAN_PACKAGES)
    if os.geteuid() != 0:
        raise PermissionError("a Debian guest's files have owners: only root can build it")
    tree = work / "tree"
    _install(tree)
    _configure(tree)
    linux = kernel.Kernel.under(tree)
    boot = bootdisk.Boot(linux.image, _initramfs(tree, linux, work / "initramfs.d"), _CMDLINE)
    image = work / "debian.qcow2"
    bootdisk.write_qcow2(image, boot, [bootdisk.Ext4(_LABEL, _SIZE, tree)])
    return image


def _install(tree: Path) -> None:
    bootstrap.mmdebstrap(
        "--format=directory",
        f"--include={','.join(_PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        '--customize-hook=chroot "$1" systemctl enable systemd-networkd',
        _SUITE,
        tree,
        # The kernel's hook that would make an initramfs, of everything, in a minute.
        env={"INITRD": "No"},
    )


def _configure(tree: Path) -> None:
    shutil.copytree(_FILES / "root", tree, dirs_exist_ok=True)
    for unit in _MASKED:
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    # Each machine is to make its own.
    for key in tree.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    # Empty, unlike missing or "uninitialized", does not make systemd set all units anew.
    (tree / "etc/machine-id").write_text("")
    # "Nothing to update after an upgrade": linker cache, hardware database, users, journal catalog.
    (tree / "etc/.updated").touch()
    (tree / "var/.updated").touch()


def _initramfs(tree: Path, linux: kernel.Kernel, root: Path) -> Path:
    for folder in ("dev", "etc", "proc", "root"):
        (root / folder).mkdir(parents=True)
    initramfs.add_busybox(tree, root)
    shutil.copy(_FILES / "init", root / "init")
    modules = root / "lib/modules" / linux.version
    needs = kernel.copy_modules(linux, ("virtio_pci", "virtio_blk"), modules)
    kernel.write_dependencies(modules, needs)
    (root / "etc/modules").write_text("virtio_pci virtio_blk\n")
    return initramfs.pack(root)
