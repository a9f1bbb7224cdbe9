"""Who QEMU is to be, as far as asking the kernel goes; being it is in tests/boot/test_users.py."""

import os
import pwd
from collections.abc import Callable

import pytest

from launcher.host import account
from launcher.host.account import Account
from launcher.host.errors import RightMissing, SettingsError

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A container with a user `qemu`, in which we are whoever a test wants."""
    known = pwd.struct_passwd(("qemu", "x", 107, 108, "", "/", "/bin/false"))

    def by_name(name: str) -> pwd.struct_passwd:
        return {"qemu": known}[name]

    def by_uid(uid: int) -> pwd.struct_passwd:
        return {107: known}[uid]

    def be(uid: int = 0, groups: list[int] | None = None, lacking: list[str] | None = None) -> None:
        monkeypatch.setattr(pwd, "getpwnam", by_name)
        monkeypatch.setattr(pwd, "getpwuid", by_uid)
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "getgroups", lambda: groups or [])
        monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, 36])
        monkeypatch.setattr(account, "missing", lambda _: lacking or [])

    return be


@pytest.mark.parametrize("wanted", ["qemu", "107"])
def test_root_becomes_it_in_the_pods_groups(machine: Machine, wanted: str) -> None:
    machine(groups=[0, 2000, 108])
    assert account.find(wanted) == Account("qemu", 107, 108, (36, 2000))


def test_there_is_nothing_to_become(machine: Machine) -> None:
    machine(uid=107)
    assert account.find("qemu") is None
    machine(uid=1000)
    assert account.find(None) is None


def test_somebody_else_cannot_become_it(machine: Machine) -> None:
    machine(uid=1000)
    with pytest.raises(SettingsError) as caught:
        account.find("qemu")
    assert caught.value.problems == (
        "QEMU_USER='qemu' has uid 107, and startvm runs as uid 1000, which cannot become it; "
        "accepted: no QEMU_USER, or startvm run as root or as uid 107",
    )


@pytest.mark.parametrize("wanted", ["libvirt-qemu", "1234"])
def test_a_user_nobody_knows(machine: Machine, wanted: str) -> None:
    machine()
    with pytest.raises(SettingsError, match=f"QEMU_USER='{wanted}' is not known here"):
        account.find(wanted)


def test_capabilities_that_are_missing_are_named(machine: Machine) -> None:
    machine(lacking=["SETGID", "SETUID"])
    with pytest.raises(RightMissing, match="QEMU_USER='qemu': SETGID and SETUID are missing"):
        account.find("qemu")


def test_joining_keeps_each_group_once() -> None:
    assert Account("qemu", 107, 107, (36,)).joining({6, 36}).groups == (6, 36)


def test_command_line() -> None:
    assert account.wrap(None) == []
    qemu = Account("qemu", 107, 108)
    assert account.wrap(qemu)[2] == "--clear-groups"
    assert account.wrap(qemu.joining({6, 36})) == [
        "--reuid=107",
        "--regid=108",
        "--groups=6,36",
        "--inh-caps=-all",
        "--no-new-privs",
    ]
