"""KVM or emulation, on machines made of files."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

from launcher.host.accelerator import Choice, choose
from launcher.host.errors import RightMissing

INTEL = "processor\t: 0\nflags\t\t: fpu vme vmx sse\nvmx flags\t: vnmi\n"
AMD = "processor\t: 0\nflags\t\t: fpu vme svm sse\n"
# Words that contain the flags' names, and a line of another name.
NEITHER = "processor\t: 0\nvmx flags\t: vmx\nflags\t\t: fpu vme svm_lock novmx sse\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


class Box:
    """A machine's /dev/kvm and /proc/cpuinfo."""

    def __init__(self, folder: Path) -> None:
        self.device, self.cpuinfo = folder / "kvm", folder / "cpuinfo"
        self.device.touch()
        self.cpuinfo.write_text(INTEL)

    def choose(self, wanted: Literal["auto", "kvm", "tcg"]) -> Choice:
        return choose(wanted, self.device, self.cpuinfo)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    return Box(tmp_path)


@pytest.mark.parametrize("cpuinfo", [INTEL, AMD])
def test_kvm_where_it_works(box: Box, cpuinfo: str) -> None:
    box.cpuinfo.write_text(cpuinfo)
    assert box.choose("auto") == Choice("kvm", f"{box.device} opens")


def test_emulation_without_a_device(box: Box) -> None:
    box.device.unlink()
    choice = box.choose("auto")
    assert choice.accelerator == "tcg"
    assert choice.reason.startswith(f"there is no {box.device};")
    # What one would do on Kubernetes, in the line that everybody sees.
    assert str(choice).startswith(f"TCG: there is no {box.device};")
    assert "device plugin" in str(choice)


def test_emulation_where_the_device_does_not_open(box: Box) -> None:
    # Permission for a device is refused by its cgroup even to root; a folder does not open either.
    box.device.unlink()
    box.device.mkdir()
    choice = box.choose("auto")
    assert choice.accelerator == "tcg"
    assert choice.reason.startswith(f"{box.device} does not open (Is a directory);")


@pytest.mark.parametrize("cpuinfo", [NEITHER, "", "flags\t\t:\n"])
def test_emulation_where_guests_would_hang(box: Box, cpuinfo: str) -> None:
    box.cpuinfo.write_text(cpuinfo)
    choice = box.choose("auto")
    assert choice.accelerator == "tcg"
    assert "neither vmx nor svm" in choice.reason
    assert "\n" not in choice.reason


def test_flags_mean_nothing_on_another_cpu(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="aarch64"))
    box.cpuinfo.write_text(ARM)
    assert box.choose("auto").accelerator == "kvm"


def test_kvm_that_was_asked_for_is_tried_whatever_the_flags(box: Box) -> None:
    box.cpuinfo.write_text(NEITHER)
    assert box.choose("kvm") == Choice("kvm", "ACCEL=kvm")


def test_kvm_that_was_asked_for_and_is_not_there(box: Box) -> None:
    box.device.unlink()
    with pytest.raises(RightMissing) as caught:
        box.choose("kvm")
    assert caught.value.message == f"ACCEL=kvm, but there is no {box.device}"
    assert "ACCEL=auto" in caught.value.hint
    assert caught.value.exit_code == 77


def test_emulation_that_was_asked_for_looks_at_nothing(box: Box) -> None:
    box.device.unlink()
    box.cpuinfo.unlink()
    assert box.choose("tcg") == Choice("tcg", "ACCEL=tcg")


def test_trying_the_device_leaves_nothing_open(box: Box) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    box.choose("auto")
    assert sorted(Path("/proc/self/fd").iterdir()) == before
