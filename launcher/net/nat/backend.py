"""Which of the two backends applies the plan."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from launcher.host.errors import LauncherError, RightMissing
from launcher.net.nat import iptables, nft
from launcher.net.nat.plan import Rule

logger = logging.getLogger("startvm")

Wanted = Literal["auto", "nft", "iptables"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`reason` is a clause that ends the sentence "NAT by nft/iptables: ..."."""

    backend: Literal["nft", "iptables"]
    reason: str


def choose(wanted: Wanted, rules: Sequence[Rule]) -> Choice:
    """Say which backend `apply` would take. Changes nothing.

    :raise LauncherError: when nft is asked for and does not work.
    """
    return _first_that_works(wanted, lambda: nft.check(rules))


@contextmanager
def apply(wanted: Wanted, rules: Sequence[Rule]) -> Iterator[Choice]:
    """Put the rules in force, and take them away at the end.

    :raise RightMissing: without NET_ADMIN.
    :raise LauncherError: when neither backend works, or not the one that is asked for.
    """
    with ExitStack() as stack:
        choice = _first_that_works(wanted, lambda: stack.enter_context(nft.apply(rules)))
        log = logger.warning if wanted == "auto" and choice.backend != "nft" else logger.debug
        log("NAT by %s: %s", choice.backend, choice.reason)
        if choice.backend == "iptables":
            stack.enter_context(iptables.apply(rules))
        yield choice


def render(choice: Choice, rules: Sequence[Rule]) -> str:
    """The rules in the backend's own language (pure)."""
    if choice.backend == "nft":
        return nft.render(rules)
    return "\n".join([*iptables.render(rules), ""])


def _first_that_works(wanted: Wanted, try_nft: Callable[[], None]) -> Choice:
    if wanted == "iptables":
        return Choice("iptables", "NAT_BACKEND=iptables")
    try:
        try_nft()
    except RightMissing:
        # Neither backend can do without it, so the other one would only blur the message.
        raise
    except LauncherError as err:
        if wanted == "nft":
            raise
        first_line = str(err).splitlines()[0]
        return Choice("iptables", f"nft does not work here ({first_line})")
    return Choice("nft", "NAT_BACKEND=nft" if wanted == "nft" else "the kernel takes its rules")
