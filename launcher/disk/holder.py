"""Who uses a pet: written down beside it, for those who find it in use.

What keeps a second VM off the disk is QEMU's own lock, and nothing else; this file only says whose
the lock is. It is written once QEMU has the lock, and one left by a holder that died is removed
before QEMU is started, when the lock is seen to be free. So it may be missing for a moment, but the
one that it names has the lock, or had it last.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from launcher.disk import qemu_lock
from launcher.disk.place import Place
from launcher.host import container, storage
from launcher.host.errors import Busy
from launcher.host.timestamp import rfc3339

logger = logging.getLogger("startvm")

HINT = "a pet runs once; the other pod has to end first"

# Ours has some 300 bytes. A larger one is something else.
MAX_SIZE = 4096


class Holder(NamedTuple):
    """What is not known is empty. `boot`: the kernel's random name for its present run, the same
    for all containers of a machine. `since`: RFC 3339, UTC."""

    pod: str
    address: str
    namespace: str
    node: str
    uid: str
    boot: str
    since: str

    def __str__(self) -> str:
        if self.node:
            where = f"on the node {self.node}"
        else:
            where = f"on {'this' if self.boot == container.boot_id() else 'another'} machine"
        namespace = f"in the namespace {self.namespace}" if self.namespace else ""
        details = ", ".join(filter(None, (self.address, namespace, where)))
        return f"the pod {self.pod} ({details}) since {self.since}"


def ourselves(address: str, namespace: str, node: str, uid: str) -> Holder:
    """This pod, now."""
    return Holder(
        pod=os.uname().nodename,
        address=address,
        namespace=namespace,
        node=node,
        uid=uid,
        boot=container.boot_id(),
        since=rfc3339(),
    )


def refuse_second(place: Place) -> None:
    """See that nobody has the pet's disk open for writing.

    That is to say it early and well; what counts is QEMU's lock a moment later.

    :raise Busy: when somebody has.
    """
    try:
        fd = os.open(place.disk, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        locked = qemu_lock.is_held(fd)
    except OSError:
        # A file system without locks.
        return
    finally:
        os.close(fd)
    if locked:
        raise busy(place)
    with suppress(OSError):
        place.holder.unlink()


def busy(place: Place) -> Busy:
    return Busy(in_use(place), hint=HINT)


def in_use(place: Place) -> str:
    """That the pet is, and by whom, in words."""
    found = load(place)
    if found:
        return f"the pet {place.name} is in use by {found}: {place.disk} is locked"
    return (
        f"the pet {place.name} is in use by another process, which has not written down who it is: "
        f"{place.disk} is locked"
    )


@contextmanager
def held(place: Place, holder: Holder) -> Iterator[None]:
    """Have it written down that `holder` uses the pet, as it does once QEMU has its disks open.

    Not being able to is no reason not to run: the volume may be full.
    """
    if storage.locks_stay_here(place.folder):
        logger.warning(
            "locks on %s are known to this node alone, by the way it is mounted (NFS with nolock "
            "or local_lock, SMB with nobrl): nothing keeps a pod on another node from running the "
            "pet %s too, which would destroy its disk",
            place.folder,
            place.name,
        )
    text = json.dumps(holder._asdict(), indent=2) + "\n"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(place.new_holder, flags, 0o644), "w") as file:  # noqa: PTH123
            file.write(text)
        place.new_holder.rename(place.holder)
    except OSError as err:
        logger.warning("who uses the pet cannot be written to %s: %s", place.holder, err.strerror)
        with suppress(OSError):
            place.new_holder.unlink()
    try:
        yield
    finally:
        # QEMU has ended by now, and the next one may have begun.
        if load(place) == holder:
            with suppress(OSError):
                place.holder.unlink()


def load(place: Place) -> Holder | None:
    """Who is written down; None where nobody is, or not so that it can be understood."""
    try:
        with place.holder.open("rb") as file:
            whole = json.loads(file.read(MAX_SIZE))
        return Holder(**{field: str(whole[field]) for field in Holder._fields})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
