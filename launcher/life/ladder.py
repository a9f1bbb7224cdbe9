"""The shutdown ladder: what is tried, and when, between SIGTERM and the end. Pure.

A container that is told to stop has STOP_TIMEOUT seconds before the kernel kills it. Within them
the guest gets as long as possible to shut down by itself, and QEMU is still ended by us, with its
caches flushed, so that nothing is ever left to the kernel's SIGKILL.
"""

from dataclasses import dataclass
from enum import Enum


class Rung(Enum):
    """From the gentlest to the harshest; the value says in words what is done."""

    AGENT = "asking the guest agent to shut down"
    ACPI = "pressing the power button"
    QUIT = "ending QEMU; the guest is cut off"
    KILL = "killing QEMU"


# Some guests drop a power button that is pressed while they boot, so it is pressed again. Seconds.
PRESS_AGAIN = 5.0

# An agent that is there answers at once; one that is not never does. Seconds.
AGENT_ANSWER = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds after SIGTERM at which each rung begins at the latest."""

    acpi: float
    quit: float
    kill: float


def schedule(timeout: float) -> Schedule:
    """Share out `timeout` seconds.

    An agent that took the order has a third of the time before the button is pressed too. The
    last tenth, half a second at least and three at most, is QEMU's and our own.
    """
    margin = min(3.0, max(0.5, timeout / 10))
    return Schedule(acpi=timeout / 3, quit=timeout - margin, kill=timeout - margin / 2)


def harsher(rung: Rung) -> Rung:
    """The next rung down; the last one has none."""
    order = list(Rung)
    return order[min(order.index(rung) + 1, len(order) - 1)]
