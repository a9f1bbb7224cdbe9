"""Leads a pod's network to its VM, as startvm does, and waits: the program under test.

Run inside of the pod's namespace as `python -m tests.netns.podnet`. Settings come from the
environment. It prints a line of JSON once everything is in force, and takes it down again when
its stdin ends. What it is told besides stands in variables of its own:

PODNET_TAP=1          open a real tap (otherwise tap0 is there already)
PODNET_DIE_AFTER=n    die of SIGKILL right after the n-th change of the machine
"""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from launcher.host import log, process, rtnetlink
from launcher.host.container import Container
from launcher.host.errors import LauncherError
from launcher.net import pod, topology
from launcher.net.apply import apply
from launcher.net.tap import open_tap
from launcher.settings.load import Surroundings, load

MAC = "06:fe:00:00:00:01"


def main() -> int:
    log.configure("info", "text")
    settings = load(os.environ, Surroundings(Container(hostname="pet-0")))
    try:
        planned = topology.make(settings, pod.read(), MAC)
        if after := int(os.environ.get("PODNET_DIE_AFTER", "0")):
            die_after(after, settings.nat_backend)
        with ExitStack() as stack:
            if os.environ.get("PODNET_TAP"):
                stack.enter_context(open_tap(planned.port))
            network = apply(planned, settings.nat_backend, settings.run_dir, debug=False)
            stack.enter_context(network)
            print(json.dumps({"notices": planned.notices}), flush=True)
            sys.stdin.read()
    except LauncherError as err:
        logging.getLogger("podnet").error("%s", err)
        return err.exit_code
    return 0


def die_after(number: int, nat_backend: str) -> None:
    """Count what changes the machine, and die as if by the kernel's hand after `number` of it."""
    from pyroute2 import IPRoute

    done = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            result = function(*args, **kwargs)
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapper

    # IPRoute makes its calls up as they are asked for.
    find: Any = vars(IPRoute)["__getattr__"]

    def find_counted(self: IPRoute, name: str) -> Any:
        found = find(self, name)
        return counted(found) if name in ("link", "addr", "brport") else found

    setattr(IPRoute, "__getattr__", find_counted)  # noqa: B010
    for name in ("switch", "give_no_ipv6_address"):
        setattr(rtnetlink, name, counted(getattr(rtnetlink, name)))
    for name in ("run", "spawn"):
        setattr(process, name, counted(getattr(process, name)))
    if nat_backend == "iptables":
        import iptc

        setattr(iptc.Table, "commit", counted(iptc.Table.commit))  # noqa: B010


if __name__ == "__main__":
    sys.exit(main())
