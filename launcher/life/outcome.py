"""What the end of QEMU means: the exit code, and whether the container stays. Pure."""

import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from launcher.disk.holder import HINT
from launcher.host.storage import LOCK_WORDS

LOCKED = re.compile(re.escape(LOCK_WORDS) + r" \[(.*)\]")

NOTHING_KNOWN: Mapping[str, str] = MappingProxyType({})

Policy = Literal["restart", "stay"]


class End(NamedTuple):
    """What was seen of QEMU's end.

    `status`: exit status, negative for a signal. `reason`: that of QMP's last SHUTDOWN event, as
    QAPI's ShutdownCause has them. `ran`: whether the guest ever did. `asked`: whether we had been
    told to stop. `forced`: whether the guest had to be cut off. `words`: the last lines of QEMU's
    stderr. `paused`: whether the VM was paused last.
    """

    status: int
    reason: str | None
    ran: bool
    asked: bool
    forced: bool
    words: tuple[str, ...] = ()
    paused: bool = False


class Outcome(NamedTuple):
    """`stay`: the container is to stay up, not ready, with the VM off."""

    exit_code: int
    stay: bool
    text: str
    hint: str = ""


def outcome(
    end: End, on_poweroff: Policy, on_crash: Policy, in_use: Mapping[str, str] = NOTHING_KNOWN
) -> Outcome:
    """Judge `end` by the two policies.

    :param in_use: by a disk's path, the sentence for one that another process turns out to hold.
    """
    if end.asked and not end.ran:
        return Outcome(os.EX_OK, False, "told to stop before the guest had started")
    if end.asked and end.forced and end.paused:
        return Outcome(
            os.EX_SOFTWARE,
            False,
            "the VM was paused, so the guest could not shut down and was cut off",
            "a volume that is full has to grow, or whoever paused the VM to let it go on",
        )
    if end.asked and end.forced:
        return Outcome(
            os.EX_SOFTWARE,
            False,
            "the guest did not shut down in time and was cut off",
            "raise STOP_TIMEOUT (and terminationGracePeriodSeconds with it), or see whether the "
            "guest handles its power button or runs the guest agent",
        )
    if end.status != 0:
        return died(end, in_use)
    match end.reason:
        case "guest-panic" if end.asked:
            return Outcome(os.EX_SOFTWARE, False, "the guest panicked while it shut down")
        case _ if end.asked:
            return Outcome(os.EX_OK, False, "the guest has shut down")
        case "guest-panic":
            stay = on_crash == "stay"
            return Outcome(os.EX_SOFTWARE, stay, f"the guest panicked; ON_CRASH={on_crash}")
        case "guest-shutdown":
            stay = on_poweroff == "stay"
            text = f"the guest powered itself off; ON_POWEROFF={on_poweroff}"
            return Outcome(os.EX_OK, stay, text)
        case reason:
            return Outcome(os.EX_OK, False, f"QEMU ended ({reason or 'it gave no reason'})")


def died(end: End, in_use: Mapping[str, str]) -> Outcome:
    said = "\n".join(end.words) or "it said nothing"
    if locked := LOCKED.search(said):
        path = locked[1]
        default = f"the disk {path} is in use by another process, and locked"
        return Outcome(os.EX_TEMPFAIL, False, f"{in_use.get(path, default)}; QEMU:\n{said}", HINT)
    how = f"died of signal {-end.status}" if end.status < 0 else f"exited {end.status}"
    return Outcome(os.EX_SOFTWARE, False, f"QEMU {how}:\n{said}")
