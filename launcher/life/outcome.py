"""What the end of QEMU means: the exit code, and whether the container stays. Pure."""

import os
from typing import Literal, NamedTuple

from launcher.host.storage import LOCK_WORDS

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


def outcome(end: End, on_poweroff: Policy, on_crash: Policy) -> Outcome:
    """Judge `end` by the two policies."""
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
        return died(end)
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


def died(end: End) -> Outcome:
    said = "\n".join(end.words) or "it said nothing"
    if any(LOCK_WORDS in line for line in end.words):
        return Outcome(
            os.EX_TEMPFAIL,
            False,
            f"another process holds one of the VM's disks:\n{said}",
            "a pet runs once; the other pod has to end first",
        )
    how = f"died of signal {-end.status}" if end.status < 0 else f"exited {end.status}"
    return Outcome(os.EX_SOFTWARE, False, f"QEMU {how}:\n{said}")
