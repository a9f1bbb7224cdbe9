"""The user that QEMU and qemu-img run as where we are root, and being that user for a moment.

Both read bytes that nobody has vouched for, a fetched image and whatever the guest sends, so they
are given no right that they can do without.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import RightMissing, SettingsError

# Bits of CapEff in /proc/self/status (uapi/linux/capability.h) that changing to another user takes.
CAPABILITIES = {"SETGID": 6, "SETUID": 7}


class Account(NamedTuple):
    """`groups` are the supplementary ones."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} (uid {self.uid})"

    def joining(self, groups: Collection[int]) -> "Account":
        return self._replace(groups=tuple(sorted({*self.groups, *groups})))


def find(wanted: str | None) -> Account | None:
    """The account that QEMU_USER names; None where QEMU runs as whoever we are.

    It also gets our own supplementary groups, root's aside: in a pod they are fsGroup and
    supplementalGroups, by which the volumes can be written to.

    :raise SettingsError: when there is no such user, or we cannot become another one.
    :raise RightMissing: when we are root without the capabilities that takes.
    """
    if wanted is None:
        return None
    import pwd

    try:
        entry = pwd.getpwuid(int(wanted)) if wanted.isdecimal() else pwd.getpwnam(wanted)
    except KeyError as err:
        raise SettingsError(
            [f"QEMU_USER={wanted!r} is not known here; accepted: a user of /etc/passwd"]
        ) from err
    ours = os.geteuid()
    if entry.pw_uid == ours:
        return None
    if ours != 0:
        raise SettingsError(
            [
                f"QEMU_USER={wanted!r} has uid {entry.pw_uid}, and startvm runs as uid {ours}, "
                "which cannot become it; accepted: no QEMU_USER, or startvm run as root or as "
                f"uid {entry.pw_uid}"
            ]
        )
    if lacking := missing(CAPABILITIES):
        raise RightMissing(
            f"QEMU cannot be run as QEMU_USER={wanted!r}: {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} missing",
            hint="the container needs these capabilities, or QEMU_USER has to be empty",
        )
    known = os.getgrouplist(entry.pw_name, entry.pw_gid)
    groups = {*known, *os.getgroups()} - {0, entry.pw_gid}
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, tuple(sorted(groups)))


def missing(wanted: dict[str, int]) -> list[str]:
    """Which of the capabilities, given as names and bits, we do not have."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            return [name for name, bit in wanted.items() if not held >> bit & 1]
    raise AssertionError("/proc/self/status has no CapEff")


def wrap(account: Account | None) -> list[str]:
    """setpriv's options by which the program after them runs as `account`.

    The bounding set stays as it is: emptying it needs SETPCAP, and to a program that no exec can
    give new privileges it means nothing.
    """
    if account is None:
        return []
    groups = ",".join(map(str, account.groups))
    return [
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        f"--groups={groups}" if groups else "--clear-groups",
        "--inh-caps=-all",
        "--no-new-privs",
    ]


@contextmanager
def assumed(account: Account | None) -> Iterator[None]:
    """What the kernel is asked for in here it is asked for by `account`; by ourselves if None.

    This is how we see what that user may open, exactly as the kernel and a network file system
    will judge it; and how root without the capability KILL sends that user's processes a signal.
    It holds for all threads of the process.
    """
    if account is None:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        os.setgroups(account.groups)
        os.setegid(account.gid)
        os.seteuid(account.uid)
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)
