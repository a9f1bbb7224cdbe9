"""Run in a process of its own: reads a seed folder as cloud-init does, and prints what it found.

    python cloud_init_reader.py openstack|nocloud FOLDER MAC

cloud-init itself has to be on PYTHONPATH.
"""

import json
import sys
from importlib import import_module
from typing import Any


def openstack(folder: str, mac: str) -> tuple[dict[str, Any], Any, Any]:
    """Metadata, user-data and network config by the ConfigDrive source."""
    source = import_module("cloudinit.sources.DataSourceConfigDrive")
    helpers = import_module("cloudinit.sources.helpers.openstack")
    read = source.read_config_drive(folder)
    network = helpers.convert_net_json(read.get("networkdata"), known_macs={mac: "eth0"})
    read["metadata"]["public-keys"] = read["metadata"].get("public_keys")
    return read["metadata"], read["userdata"], network


def nocloud(folder: str, mac: str) -> tuple[dict[str, Any], Any, Any]:
    """The same by the NoCloud source."""
    util = import_module("cloudinit.util")
    files = util.pathprefix2dict(
        folder, required=["user-data", "meta-data"], optional=["vendor-data", "network-config"]
    )
    network = util.load_yaml(files["network-config"]) if "network-config" in files else None
    return util.load_yaml(files["meta-data"]), files["user-data"], network


def rendered(network: Any) -> dict[str, str]:
    """The network config as the files of Debian's and Ubuntu's network managers."""
    if network is None:
        return {}
    state = import_module("cloudinit.net.network_state").parse_net_config_data(network)
    eni, netplan = (import_module(f"cloudinit.net.{name}") for name in ("eni", "netplan"))
    return {
        "eni": eni.Renderer()._render_interfaces(state),
        "netplan": netplan.Renderer()._render_content(state),
    }


def main(kind: str, folder: str, mac: str) -> None:
    sources = import_module("cloudinit.sources")
    # This machine is not the guest: it has no network card of that address.
    state: Any = import_module("cloudinit.net.network_state")
    state.get_interfaces_by_mac = lambda *_, **__: {mac: "eth0"}
    metadata, userdata, network = {"openstack": openstack, "nocloud": nocloud}[kind](folder, mac)
    found = {
        "metadata": metadata,
        "userdata": (userdata if isinstance(userdata, bytes) else userdata.encode()).hex(),
        "keys": sources.normalize_pubkey_data(metadata.get("public-keys")),
        "network": rendered(network),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
