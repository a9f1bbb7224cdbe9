"""Whether a VM runs here, so that a change to its disk is startvm's to make, or ours."""

from pathlib import Path

from launcher.host.errors import Busy, InputMissing
from launcher.life.control import Line
from launcher.life.state import Phase, read

# Seconds. What a guest agent and QEMU's tables take is bounded by startvm.
PATIENCE = 300.0


def runs(run_dir: Path) -> bool:
    """Whether a VM runs here, for who will ask startvm later or not at all.

    :raise Busy: while it starts or stops.
    """
    found = line(run_dir)
    if found is None:
        return False
    found.__exit__()
    return True


def line(run_dir: Path) -> Line | None:
    """A connection to the startvm whose VM runs here; None where the VM is off.

    :raise Busy: while it starts or stops.
    """
    try:
        found = Line(run_dir, PATIENCE)
    except InputMissing:
        # No startvm: a container that was started by hand, with a shell in it.
        return None
    state = read(run_dir)
    if state and state.phase in (Phase.RUNNING, Phase.PAUSED):
        return found
    found.__exit__()
    if state and state.phase is Phase.OFF:
        return None
    phase = state.phase if state else Phase.STARTING
    raise Busy(f"the VM is {phase}", hint="wait until it runs, or is off")
