"""What QEMU's end means, for each kind of end and each policy."""

from typing import Literal

import pytest

from launcher.life.outcome import End, Outcome, outcome

# The guest powered itself off while nobody had asked.
OFF = End(status=0, reason="guest-shutdown", ran=True, asked=False, forced=False)
PANIC = OFF._replace(reason="guest-panic")
STOPPED = OFF._replace(asked=True)

LOCKED = (
    'qemu-system-x86_64: -blockdev node-name=pet,…: Failed to get "write" lock',
    "Is another process using the image [/pet/web-0.qcow2]?",
)

Policy = Literal["restart", "stay"]


@pytest.mark.parametrize(
    ("end", "exit_code", "text"),
    [
        (OFF, 0, "the guest powered itself off; ON_POWEROFF=restart"),
        (PANIC, 70, "the guest panicked; ON_CRASH=restart"),
        (STOPPED, 0, "the guest has shut down"),
        (STOPPED._replace(reason="host-qmp-quit"), 0, "the guest has shut down"),
        (STOPPED._replace(reason=None), 0, "the guest has shut down"),
        (STOPPED._replace(reason="guest-panic"), 70, "the guest panicked while it shut down"),
        (STOPPED._replace(ran=False), 0, "told to stop before the guest had started"),
        (STOPPED._replace(ran=False, status=-9), 0, "told to stop before the guest had started"),
        (
            STOPPED._replace(forced=True, reason="host-qmp-quit"),
            70,
            "the guest did not shut down in time and was cut off",
        ),
        (
            STOPPED._replace(forced=True, status=-9, reason=None),
            70,
            "the guest did not shut down in time and was cut off",
        ),
        (
            STOPPED._replace(forced=True, reason="host-qmp-quit", paused=True),
            70,
            "the VM was paused, so the guest could not shut down and was cut off",
        ),
        (STOPPED._replace(status=1, words=("disk gone",)), 70, "QEMU exited 1:\ndisk gone"),
        (OFF._replace(reason="guest-reset"), 0, "QEMU ended (guest-reset)"),
        (OFF._replace(reason=None), 0, "QEMU ended (it gave no reason)"),
        (
            OFF._replace(status=1, reason=None, ran=False, words=("a", "b")),
            70,
            "QEMU exited 1:\na\nb",
        ),
        (OFF._replace(status=-6, reason=None), 70, "QEMU died of signal 6:\nit said nothing"),
        (
            OFF._replace(status=1, reason=None, ran=False, words=LOCKED),
            75,
            "the disk /pet/web-0.qcow2 is in use by another process, and locked; QEMU:\n"
            + "\n".join(LOCKED),
        ),
    ],
)
def test_outcome(end: End, exit_code: int, text: str) -> None:
    found = outcome(end, "restart", "restart")
    assert (found.exit_code, found.stay, found.text) == (exit_code, False, text)


@pytest.mark.parametrize("on_poweroff", ["restart", "stay"])
@pytest.mark.parametrize("on_crash", ["restart", "stay"])
def test_each_policy_is_for_its_own_end(on_poweroff: Policy, on_crash: Policy) -> None:
    assert outcome(OFF, on_poweroff, on_crash).stay is (on_poweroff == "stay")
    assert outcome(PANIC, on_poweroff, on_crash).stay is (on_crash == "stay")


@pytest.mark.parametrize(
    "end",
    [
        STOPPED,
        STOPPED._replace(ran=False),
        STOPPED._replace(forced=True),
        STOPPED._replace(reason="guest-panic"),
        OFF._replace(status=1),
        OFF._replace(status=-6),
        OFF._replace(reason=None),
        PANIC._replace(status=1),
    ],
)
def test_only_the_guests_own_end_can_leave_the_container_up(end: End) -> None:
    # A container that was told to stop must end, and a QEMU that failed is not the guest's will.
    assert outcome(end, "stay", "stay").stay is False


def test_what_can_be_done_is_told() -> None:
    cut_off: Outcome = outcome(STOPPED._replace(forced=True), "restart", "restart")
    assert "STOP_TIMEOUT" in cut_off.hint
    assert outcome(OFF._replace(status=1, words=LOCKED), "restart", "restart").hint


def test_who_holds_the_disk_is_told() -> None:
    locked = OFF._replace(status=1, reason=None, ran=False, words=LOCKED)
    told = {"/pet/web-0.qcow2": "web-1 has it", "/pet/web-1.qcow2": "nobody has it"}
    found = outcome(locked, "restart", "restart", told)
    assert found.text.startswith("web-1 has it; QEMU:\n")
    assert "the other pod has to end first" in found.hint
