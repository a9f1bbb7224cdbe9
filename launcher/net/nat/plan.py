"""Which packets go where (pure): one tuple of rules that both backends render.

Rules are in the order in which they are tried; in each chain the first that matches decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from launcher.net.topology import LOOPBACK, Topology

LOOPBACK_NET = IPv4Network("127.0.0.0/8")

Action = Literal["leave", "dnat", "snat", "drop"]


class Chain(Enum):
    """Where a rule stands: the kernel's hook, and whether it rewrites packets or filters them.

    The values are (hook, kind).
    """

    PREROUTING = ("prerouting", "nat")
    OUTPUT = ("output", "nat")
    POSTROUTING = ("postrouting", "nat")
    FILTER_INPUT = ("input", "filter")

    @property
    def hook(self) -> str:
        return self.value[0]

    @property
    def kind(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. What is None or empty matches everything.

    `action`: `leave` ends the chain and changes nothing; `dnat` and `snat` rewrite to `to`.
    `is_reply`: only packets against the direction their connection was opened in.
    `is_midstream`: only TCP packets that do not open a connection.
    """

    chain: Chain
    why: str
    action: Action
    to: IPv4Address | None = None
    source: IPv4Address | IPv4Network | None = None
    destination: IPv4Address | IPv4Network | None = None
    comes_by: str = ""
    leaves_by: str = ""
    protocol: str = ""
    port: int | None = None
    is_reply: bool = False
    is_midstream: bool = False


def rules(topology: Topology) -> tuple[Rule, ...]:
    """The rules for a VM behind the pod's address."""
    return (
        *_inbound(topology),
        *_from_the_pod(topology),
        *_sources(topology),
        *_guards(topology),
    )


def _inbound(topology: Topology) -> Iterator[Rule]:
    """To the pod's address from anywhere, the VM itself included."""
    yield _midstream(Chain.PREROUTING, topology.pod_address)
    for port in topology.kept:
        yield Rule(
            chain=Chain.PREROUTING,
            why="stays with the pod",
            action="leave",
            destination=topology.pod_address,
            protocol=port.protocol,
            port=port.number,
        )
    yield Rule(
        chain=Chain.PREROUTING,
        why="all else is for the VM",
        action="dnat",
        to=topology.vm_address,
        destination=topology.pod_address,
    )


def _midstream(chain: Chain, destination: IPv4Address) -> Rule:
    """Leave alone what other containers of the pod opened before these rules.

    The kernel follows flows only while some rule needs it to, so the first packet it sees of such
    a connection may be one that comes in, and would go to the VM: the connection would be lost.
    """
    return Rule(
        chain=chain,
        why="older than these rules",
        action="leave",
        destination=destination,
        protocol="tcp",
        is_midstream=True,
    )


def _from_the_pod(topology: Topology) -> Iterator[Rule]:
    """From the pod's own processes: probes by exec, port-forward, sidecars.

    127.0.0.1 exactly: Docker's resolver, for one, listens on another address of 127.0.0.0/8.
    """
    for address in (LOOPBACK, topology.pod_address):
        yield _midstream(Chain.OUTPUT, address)
        for port in topology.kept:
            yield Rule(
                chain=Chain.OUTPUT,
                why="stays with the pod",
                action="leave",
                destination=address,
                protocol=port.protocol,
                port=port.number,
            )
        if address in topology.own_resolvers:
            for protocol in ("tcp", "udp"):
                yield Rule(
                    chain=Chain.OUTPUT,
                    why="the pod's own name server",
                    action="leave",
                    destination=address,
                    protocol=protocol,
                    port=53,
                )
        yield Rule(
            chain=Chain.OUTPUT,
            why="all else is for the VM",
            action="dnat",
            to=topology.vm_address,
            destination=address,
        )


def _sources(topology: Topology) -> Iterator[Rule]:
    """Whom the packets come from. Clients of the VM keep their addresses, with two exceptions."""
    yield Rule(
        chain=Chain.POSTROUTING,
        why="the VM speaks as the pod",
        action="snat",
        to=topology.pod_address,
        source=topology.vm_address,
        leaves_by=topology.uplink,
    )
    yield Rule(
        chain=Chain.POSTROUTING,
        why="the VM calling itself by the pod's address",
        action="snat",
        to=topology.gateway,
        source=topology.vm_address,
        destination=topology.vm_address,
    )
    yield Rule(
        chain=Chain.POSTROUTING,
        why="the pod calling the VM by 127.0.0.1",
        action="snat",
        to=topology.gateway,
        source=LOOPBACK_NET,
        destination=topology.vm_address,
    )


def _guards(topology: Topology) -> Iterator[Rule]:
    """What the set-up above would otherwise open.

    Answers to the pod's 127.0.0.1 have to be let in by the bridge (route_localnet), and with them
    would come whatever the guest sends to or from 127.0.0.0/8 by itself: what listens there takes
    it for local (CVE-2020-8558 was that, in kube-proxy).
    """
    yield Rule(
        chain=Chain.FILTER_INPUT,
        why="an answer to the pod's 127.0.0.1",
        action="leave",
        comes_by=topology.bridge,
        destination=LOOPBACK_NET,
        is_reply=True,
    )
    yield Rule(
        chain=Chain.FILTER_INPUT,
        why="the guest has no business on the pod's loopback",
        action="drop",
        comes_by=topology.bridge,
        destination=LOOPBACK_NET,
    )
    yield Rule(
        chain=Chain.FILTER_INPUT,
        why="nor is it the pod's loopback",
        action="drop",
        comes_by=topology.bridge,
        source=LOOPBACK_NET,
    )
