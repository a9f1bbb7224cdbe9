"""How the pods of a node are connected: what containerd reads, and calls."""

import json
import sys
from pathlib import Path

from tests.cluster.kubernetes import far_gateway
from tests.cluster.kubernetes.place import NodePlace

# Where Debian has the plugins.
PLUGINS = Path("/usr/lib/cni")
MTU = 1450


def write(node: NodePlace) -> None:
    """Write the node's network configuration, and the plugin of ours if it has part in it."""
    _folder(node).mkdir()
    chain: list[dict[str, object]] = [
        {
            "type": "ptp",
            "ipMasq": False,
            "mtu": MTU,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": node.pods}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    if node.is_calico:
        chain.insert(1, {"type": far_gateway.NAME})
        _write_plugin(node)
    config = {"cniVersion": "1.0.0", "name": "pods", "plugins": chain}
    (_folder(node) / "10-pods.conflist").write_text(json.dumps(config, indent=1))


def containerd_config(node: NodePlace) -> str:
    """The lines of containerd's configuration."""
    plugins = json.dumps([str(PLUGINS), str(_programs(node))])
    return f'bin_dirs = {plugins}\nconf_dir = "{_folder(node)}"\n'


def _folder(node: NodePlace) -> Path:
    return node.folder / "cni"


def _programs(node: NodePlace) -> Path:
    return node.folder / "cni-plugins"


def _write_plugin(node: NodePlace) -> None:
    """A copy that needs nothing of this checkout, for the Python that is here."""
    _programs(node).mkdir()
    plugin = _programs(node) / far_gateway.NAME
    source = Path(far_gateway.__file__).read_text("utf-8")
    plugin.write_text(f"#!{Path(sys.executable).resolve()} -I\n{source}", encoding="utf-8")
    plugin.chmod(0o755)
