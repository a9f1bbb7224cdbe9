"""What would be done to the pod's network, as texts for people (pure): for `berth plan`."""

from dataclasses import dataclass
from pathlib import Path

from launcher.net import dnsmasq
from launcher.net.links import link_plan
from launcher.net.nat import backend
from launcher.net.nat.plan import rules
from launcher.net.topology import Topology


@dataclass(frozen=True, slots=True)
class Description:
    """`links`: commands that would do the same. `nat_backend`: which and why. `nat`: what it is
    fed.

    `dnsmasq_conf` and `dnsmasq_argv` are empty when dnsmasq is not needed, and everything is when
    QEMU's own network stack does it all.
    """

    links: tuple[str, ...] = ()
    nat_backend: str = ""
    nat: str = ""
    dnsmasq_conf: str = ""
    dnsmasq_argv: tuple[str, ...] = ()


def describe(topology: Topology, choice: backend.Choice, run_dir: Path) -> Description:
    """Everything that `links.apply`, `backend.apply` and `dnsmasq.start` would do."""
    wanted = topology.needs_dnsmasq
    return Description(
        links=link_plan(topology),
        nat_backend=f"{choice.backend}: {choice.reason}",
        nat=backend.render(choice, rules(topology)),
        dnsmasq_conf=dnsmasq.config(topology, run_dir) if wanted else "",
        dnsmasq_argv=dnsmasq.argv(run_dir) if wanted else (),
    )
