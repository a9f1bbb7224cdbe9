"""Which accelerator QEMU can really use here."""

import errno
import os
from pathlib import Path
from typing import Literal, NamedTuple

from launcher.host.errors import RightMissing

Accelerator = Literal["kvm", "tcg"]

KVM = Path("/dev/kvm")

HINT = (
    "give the container /dev/kvm: on Kubernetes by a device plugin of the nodes, which the chart's "
    "value `kvm` asks for; else with `--device /dev/kvm`"
)


class Choice(NamedTuple):
    """`reason` is a clause that ends the sentence "running with KVM/TCG: ...". `hint`: what to do
    about emulation that nobody asked for; empty where there is nothing to do."""

    accelerator: Accelerator
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.accelerator.upper()}: {self.reason}"
        return f"{text} (hint: {self.hint})" if self.hint else text


def choose(
    wanted: Literal["auto", "kvm", "tcg"],
    device: Path = KVM,
    cpuinfo: Path = Path("/proc/cpuinfo"),
) -> Choice:
    """Choose KVM where it works and TCG, QEMU's own emulation, where it does not.

    :raise RightMissing: when KVM is asked for and the device cannot be opened.
    """
    if wanted == "tcg":
        return Choice("tcg", "ACCEL=tcg")
    problem = _cannot_open(device)
    if wanted == "kvm":
        if problem:
            raise RightMissing(
                f"ACCEL=kvm, but {problem}",
                hint=f"{HINT}; or set ACCEL=auto to emulate where there is none",
            )
        return Choice("kvm", "ACCEL=kvm")
    if problem:
        return Choice("tcg", f"{problem}; the VM is emulated and several times slower", HINT)
    if os.uname().machine in ("x86_64", "i686") and not _has_virtualisation(cpuinfo):
        # Some nested hosts show a /dev/kvm that opens while ordinary guests hang on it, or run a
        # hundred times slower than emulated ones: the CPU flag is missing exactly there.
        return Choice(
            "tcg",
            f"{device} opens, but the CPU has neither vmx nor svm, so ordinary guests would hang "
            "on it; the VM is emulated and several times slower",
        )
    return Choice("kvm", f"{device} opens")


def _cannot_open(device: Path) -> str:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as err:
        if err.errno == errno.ENOENT:
            return f"there is no {device}"
        return f"{device} does not open ({err.strerror})"
    return ""


def _has_virtualisation(cpuinfo: Path) -> bool:
    for line in cpuinfo.read_text().splitlines():
        if line.startswith("flags"):
            flags = line.split()
            return "vmx" in flags or "svm" in flags
    return False
