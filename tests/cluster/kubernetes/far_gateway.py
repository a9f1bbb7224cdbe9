"""A CNI plugin to chain after ptp: gives the pod the addresses that Calico would.

The pod's address gets the prefix /32, and its gateway is 169.254.1.1, which no interface has: the
node answers for it by proxy ARP, from an interface with the same hardware address for every pod.
That is what Calico does (docs.tigera.io, "Why can't I see the 169.254.1.1 address"), and where
programs fail that look for a subnet and a gateway in it.

Run by containerd as the CNI specification 1.0.0 has it. Imports nothing but the standard library.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

NAME = "far-gateway"
GATEWAY = "169.254.1.1"
HARDWARE_ADDRESS = "ee:ee:ee:ee:ee:ee"


def add(result: dict[str, Any], interface: str, namespace: str) -> dict[str, Any]:
    """Change what ptp has made, and its result accordingly."""
    (ip,) = result["ips"]
    address = ip["address"].partition("/")[0]
    (host,) = (each["name"] for each in result["interfaces"] if not each.get("sandbox"))
    _ip(f"link set {host} address {HARDWARE_ADDRESS}")
    network = Path("/proc/sys/net/ipv4")
    (network / "conf" / host / "proxy_arp").write_text("1")
    # The first packet would wait for up to a second otherwise.
    (network / "neigh" / host / "proxy_delay").write_text("0")
    _ip(
        f"""address flush dev {interface} scope global
            address add {address}/32 dev {interface}
            route replace {GATEWAY} dev {interface} scope link
            route replace default via {GATEWAY} dev {interface}""",
        "nsenter",
        f"--net={namespace}",
    )
    for each in result["interfaces"]:
        if each["name"] == host:
            each["mac"] = HARDWARE_ADDRESS
    return {**result, "ips": [{**ip, "address": f"{address}/32", "gateway": GATEWAY}]}


def _ip(batch: str, *inside: str) -> None:
    done = subprocess.run(
        [*inside, "ip", "-batch", "-"], input=batch, text=True, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"ip: {done.stderr.strip()} in: {batch}")


def main() -> int:
    command = os.environ["CNI_COMMAND"]
    if command == "VERSION":
        print(json.dumps({"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}))
        return 0
    config = json.load(sys.stdin)
    if command != "ADD":
        # What was changed goes with the pod's link.
        return 0
    try:
        result = add(config["prevResult"], os.environ["CNI_IFNAME"], os.environ["CNI_NETNS"])
    except Exception as error:
        print(json.dumps({"cniVersion": config["cniVersion"], "code": 999, "msg": str(error)}))
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
