"""This machine's side of the network: a bridge with the nodes on it, and a way out for the pods."""

import json
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.cluster.kubernetes.errors import wait_for
from tests.cluster.kubernetes.place import ROOT, Place, existing, locked

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
# What it was before the first cluster, and in which life of this machine.
BEFORE = ROOT / "ip_forward.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Docker and firewalls forward nothing that they were not told of.
ACCEPT = (["-i"], ["-o"])


def make(place: Place) -> None:
    """Make the bridge, and let what comes from nodes and pods out under this machine's address."""
    _ip(
        f"""link add {place.bridge} type bridge
            address add {place.host}/24 dev {place.bridge}
            link set {place.bridge} up"""
    )
    for node in place.nodes:
        _ip(f"route add {node.pods} via {node.address} src {place.host}")
    inside = f"{{ {place.network}, {place.pods} }}"
    rules = f"""
        table ip {place.bridge} {{
            chain out {{
                type nat hook postrouting priority srcnat
                ip saddr {inside} ip daddr != {inside} masquerade
            }}
        }}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    if _is_forwarding_refused():
        for option in ACCEPT:
            _iptables("-I", place, option)
    _enable_forwarding()


def remove(place: Place) -> None:
    """Remove all of it that is there."""
    for link in (*(node.link for node in place.nodes), place.bridge):
        _quietly("ip", "link", "delete", link)
    _quietly("nft", "delete", "table", "ip", place.bridge)
    if f'"{place.bridge}"' in _forward_chain():
        for option in ACCEPT:
            while _iptables("-D", place, option):
                pass
    wait_for(
        f"the links of {place.name} are gone",
        lambda: not any(Path("/sys/class/net").glob(f"{place.bridge}*")),
        20,
    )


def restore_forwarding() -> None:
    """What the first cluster changed for all of this machine, the last one changes back."""
    with locked(ROOT):
        if existing():
            return
        with suppress(FileNotFoundError, ValueError):
            before = json.loads(BEFORE.read_text())
            if before["boot"] == BOOT_ID.read_text():
                FORWARDING.write_text(before["value"])
        BEFORE.unlink(missing_ok=True)
        with suppress(OSError):
            ROOT.rmdir()


def _enable_forwarding() -> None:
    with locked(ROOT):
        value = FORWARDING.read_text()
        if value.strip() == "1":
            return
        BEFORE.write_text(json.dumps({"value": value, "boot": BOOT_ID.read_text()}))
        FORWARDING.write_text("1")


def _forward_chain() -> str:
    """iptables' FORWARD, or nothing when nobody has used it. Asking iptables would make it."""
    asked = ["nft", "list", "chain", "ip", "filter", "FORWARD"]
    return subprocess.run(asked, capture_output=True, text=True).stdout


def _is_forwarding_refused() -> bool:
    return "policy drop" in _forward_chain()


def _iptables(action: str, place: Place, option: list[str]) -> bool:
    return _quietly("iptables", action, "FORWARD", *option, place.bridge, "-j", "ACCEPT")


def _ip(batch: str) -> None:
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)


def _quietly(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True).returncode == 0
