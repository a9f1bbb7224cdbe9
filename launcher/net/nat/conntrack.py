"""Flows that the kernel still follows by what held before our rules."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.net.topology import LOOPBACK, Topology

if TYPE_CHECKING:
    from pyroute2 import NFCTSocket
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

logger = logging.getLogger("startvm")

COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")
NUMBERS = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a flow's first packet went, and who answers it: another host if it is translated.

    `protocol` is a number of IANA's; `port` is None where the protocol has none.
    """

    protocol: int
    destination: str
    answered_by: str
    port: int | None = None


def is_stale(flow: Flow, topology: Topology) -> bool:
    """Whether `flow` ends in the pod although the rules give it to the VM (pure).

    Rules decide about the first packet of a flow only. One that began while there were none, when
    the container was just restarting, say, goes on as it began for as long as packets keep
    coming: a client that sends by UDP from one port, or a running ping, would never reach the VM.
    TCP is spared: there a new connection is always a new flow, and what is open is the pod's own.
    """
    ours = (str(topology.pod_address), str(LOOPBACK))
    if flow.protocol == socket.IPPROTO_TCP or flow.destination not in ours:
        return False
    if flow.answered_by != flow.destination:
        return False
    if any(
        (flow.protocol, flow.port) == (NUMBERS[kept.protocol], kept.number)
        for kept in topology.kept
    ):
        return False
    resolvers = (str(address) for address in topology.own_resolvers)
    return not (flow.port == 53 and flow.destination in resolvers)


def forget_stale(topology: Topology) -> int:
    """Make the kernel forget the stale flows, so that their next packet meets the rules.

    Returns their number. A kernel that cannot tell its flows is left as it is. Not to be called
    from within a running asyncio loop: pyroute2 runs one of its own.
    """
    if not _follows_any():
        return 0
    from pyroute2 import NetlinkError, NFCTSocket

    count = 0
    try:
        with NFCTSocket() as table:
            stale = [key for flow, key in _flows(table, topology) if is_stale(flow, topology)]
            for key in stale:
                # It may have ended by itself meanwhile.
                try:
                    table.entry("del", tuple_orig=key)
                    count += 1
                except NetlinkError as err:
                    logger.debug("a stale flow could not be removed: %s", err)
    except (NetlinkError, OSError) as err:
        logger.debug("the kernel's flows cannot be read: %s", err)
    if count:
        logger.info("%d flows that began before the VM was reachable start over", count)
    return count


def _follows_any() -> bool:
    """Whether the kernel follows anything here. Mostly it does not yet, and asking is cheap."""
    try:
        return int(COUNT.read_text()) > 0
    except OSError:
        return False


def _flows(table: "NFCTSocket", topology: Topology) -> Iterator[tuple[Flow, "NFCTAttrTuple"]]:
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    for address in (topology.pod_address, LOOPBACK):
        for entry in table.dump(tuple_orig=NFCTAttrTuple(daddr=str(address))):
            opened = entry.get_attr("CTA_TUPLE_ORIG")
            ports = opened.get_attr("CTA_TUPLE_PROTO")
            key = NFCTAttrTuple.from_netlink(socket.AF_INET, opened)
            # from_netlink takes the ports of TCP and UDP only.
            key.sport = ports.get_attr("CTA_PROTO_SRC_PORT")
            key.dport = ports.get_attr("CTA_PROTO_DST_PORT")
            answered_by = entry.get_nested("CTA_TUPLE_REPLY", "CTA_TUPLE_IP", "CTA_IP_V4_SRC")
            yield Flow(key.proto or 0, key.daddr or "", answered_by, key.dport), key
