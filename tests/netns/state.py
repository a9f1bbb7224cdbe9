"""Everything that a launcher may leave in a pod's network, as text to compare."""

import json
import re
from typing import Any

from tests.pods.namespaces import Namespace

# Of each link: what says how it is set, and not how it fares or when it was made.
KEPT = ("ifname", "mtu", "master", "flags", "ifalias", "inet6_addr_gen_mode")


def state(pod: Namespace) -> str:
    """Links, addresses, routes, both kinds of rules, and the devices' IPv4 switches."""
    parts = {
        "links": _links(pod),
        "addresses": pod.run("ip", "-4", "-oneline", "address"),
        "routes": pod.run("ip", "route", "show", "table", "main"),
        "nft": pod.run("nft", "--stateless", "list", "ruleset"),
        "iptables": _iptables(pod),
        "switches": pod.run(
            "sh", "-c", "grep . /proc/sys/net/ipv4/conf/*/forwarding"
            " /proc/sys/net/ipv4/conf/*/route_localnet /proc/sys/net/ipv4/ip_forward"
        ),
    }  # fmt: skip
    # The kernel numbers what is made anew differently, and says that a link has no carrier yet.
    text = "\n".join(f"{name}:\n{text}" for name, text in parts.items())
    return re.sub(r"^[0-9]+: ", "", text, flags=re.MULTILINE)


def _links(pod: Namespace) -> str:
    lines = []
    for link in json.loads(pod.run("ip", "-json", "-details", "link")):
        kept: dict[str, Any] = {key: link[key] for key in KEPT if key in link}
        kept["flags"] = sorted({*link["flags"]} - {"NO-CARRIER", "LOWER_UP"})
        kept["kind"] = link.get("linkinfo", {}).get("info_kind")
        if kept["kind"] == "bridge":
            data = link["linkinfo"]["info_data"]
            kept |= {"mac": link["address"], "stp": data["stp_state"]}
            kept |= {key: data[key] for key in ("forward_delay", "mcast_snooping")}
        kept["hairpin"] = link.get("linkinfo", {}).get("info_slave_data", {}).get("hairpin")
        lines.append(json.dumps(kept))
    return "\n".join(sorted(lines))


def _iptables(pod: Namespace) -> str:
    # Only rules and chains of somebody's own. A table is there once somebody has looked at it.
    lines = pod.run("iptables-legacy-save").splitlines()
    return "\n".join(line for line in lines if re.match(r"-A|:\S+ -", line))
