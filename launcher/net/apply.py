"""The pod's network led to the VM: links, then rules, then DHCP."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from launcher.host.process import Child
from launcher.net import dnsmasq, links
from launcher.net.nat import backend, conntrack, plan
from launcher.net.nat.backend import Wanted
from launcher.net.topology import Topology


@contextmanager
def apply(
    topology: Topology, wanted: Wanted, run_dir: Path, *, debug: bool
) -> Iterator[Child | None]:
    """Put `topology` in force, and take it down in reverse order at the end.

    The VM's port has to exist. Not to be called from within a running asyncio loop: pyroute2 runs
    one of its own. Yields dnsmasq, where there is work for it.

    :raise RightMissing: without NET_ADMIN.
    :raise LauncherError: when the kernel or dnsmasq refuses, in their words.
    """
    with ExitStack() as stack:
        stack.enter_context(links.apply(topology))
        stack.enter_context(backend.apply(wanted, plan.rules(topology)))
        conntrack.forget_stale(topology)
        if topology.needs_dnsmasq:
            yield stack.enter_context(dnsmasq.start(topology, run_dir, debug=debug))
        else:
            yield None
