"""A node: network, mount and process namespaces of its own, with containerd, kubelet, kube-proxy.

It sees this machine's files, but has a /run and a /var of its own, where those three and all that
they start keep what they make. So two nodes and this machine's own containerd do not meet.
When the first process of its process namespace ends, the kernel ends all others and drops the
mounts, the interfaces and the firewall's rules.
"""

import json
import os
import subprocess
from pathlib import Path

from tests.cluster.kubernetes import (
    cgroups,
    credentials,
    images,
    pod_network,
    processes,
    tools_image,
)
from tests.cluster.kubernetes.errors import ClusterError, wait_for
from tests.cluster.kubernetes.place import DNS_SERVICE, DOMAIN, GATES, NodePlace, Place
from tests.cluster.programs import find

# $1: the node's folder, $2: the cluster's, $3: that of the programs. Nothing is written to this
# machine's files but in $1.
INIT = """\
set -e
mount --make-rshared /
mkdir -p "$1/var/lib" "$1/var/log" "$1/var/tmp"
ln -s /run "$1/var/run"
for seen in "$2" "$3"; do
    case $seen in
        /var/*) mkdir -p "$1$seen" && mount --bind "$seen" "$1$seen" ;;
    esac
done
mount --rbind "$1/var" /var
mount -t tmpfs -o mode=755 run /run
# A mount of its own, as whatever runs `ip netns add` would make it one while pods are using it.
mkdir /run/netns /run/lock
mount -t tmpfs -o mode=755 netns /run/netns
resolver=$(readlink -m /etc/resolv.conf)
case $resolver in
    /run/*) mkdir -p "${resolver%/*}" && : >"$resolver" ;;
esac
mount --bind "$1/resolv.conf" "$resolver"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
# Whatever loses its parent becomes a child of this process, which asks for none of them.
trap '' CHLD
: >"$1/ready"
exec sleep infinity
"""

SOCKET = "/run/containerd/containerd.sock"


def start(place: Place, node: NodePlace) -> None:
    """Start the node up to containerd, and load what tools_image.write() has written."""
    node.folder.mkdir()
    (node.folder / "resolv.conf").write_text(f"nameserver {place.host}\n")
    init = _start_init(place, node)
    subprocess.run(["ip", "-batch", "-"], input=_outside(place, node, init), text=True, check=True)
    subprocess.run(
        [*enter(init, "n"), "ip", "-batch", "-"], input=_inside(place, node), text=True, check=True
    )
    cgroups.make(node.cgroup)
    pod_network.write(node)
    config = node.folder / "containerd.toml"
    config.write_text(_containerd(node))
    programs = find("containerd").parent
    pid = _start(
        place,
        node,
        "containerd",
        *enter(init),
        programs / "containerd",
        "--config",
        config,
        # It looks for its shim there.
        environment={"PATH": f"{programs}:{processes.PATH}"},
    )
    socket = Path(f"/proc/{init}/root{SOCKET}")
    wait_for(f"{node.name}'s containerd", lambda: _alive(pid, "containerd") and socket.exists(), 60)
    images.load(enter(init), place.folder / "tools.tar")


def start_kubelet(place: Place, node: NodePlace) -> None:
    """Start what makes it a node of the cluster, whose API server has to be there."""
    init = find_init(place, node)
    config = node.folder / "kubelet.json"
    config.write_text(json.dumps(_kubelet(place, node), indent=1))
    _start(
        place,
        node,
        "kubelet",
        *enter(init),
        find("kubelet"),
        f"--config={config}",
        f"--kubeconfig={credentials.kubeconfig(place, credentials.node_user(node.name))}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    )
    _start(
        place,
        node,
        "kube-proxy",
        *enter(init),
        find("kube-proxy"),
        f"--kubeconfig={credentials.kubeconfig(place, credentials.PROXY)}",
        f"--hostname-override={node.name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={place.pods}",
        # These are the whole machine's, and not ours to change.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    )


def enter(init: int, namespaces: str = "mnp") -> list[str]:
    """The words before a command that run it in the node."""
    return ["nsenter", f"--target={init}", *(f"-{each}" for each in namespaces), "--"]


def find_init(place: Place, node: NodePlace) -> int:
    """The first process of a node that runs.

    :raise ClusterError: when it does not run.
    """
    role = f"{node.name}-init"
    ours = [each for each in processes.running(place.folder) if each.role == role]
    for each in ours:
        if each.parent in {other.pid for other in ours}:
            return each.pid
    raise ClusterError(f"{node.name} does not run")


def _start_init(place: Place, node: NodePlace) -> int:
    pid = _start(
        place,
        node,
        "init",
        *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("--propagation", "private", "sh", "-c", INIT, "init"),
        *(node.folder, place.folder, find("containerd").parents[1]),
    )
    ready = node.folder / "ready"
    wait_for(f"{node.name}'s namespaces", lambda: _alive(pid, "init") and ready.exists(), 30, 0.01)
    return find_init(place, node)


def _alive(pid: int, role: str) -> bool:
    if processes.has_ended(pid):
        raise ClusterError(f"{role} ended")
    return True


def _outside(place: Place, node: NodePlace, init: int) -> str:
    return f"""\
        link add {node.link} type veth peer name eth0 netns {init}
        link set {node.link} master {place.bridge} up
    """


def _inside(place: Place, node: NodePlace) -> str:
    others = (other for other in place.nodes if other != node)
    return f"""\
        address add {node.address}/24 dev eth0
        link set eth0 up
        route add default via {place.host}
    """ + "".join(f"route add {other.pods} via {other.address}\n" for other in others)


def _containerd(node: NodePlace) -> str:
    # It would make a folder in /opt otherwise.
    return f"""\
version = 3

[plugins.'io.containerd.internal.v1.opt']
path = "{node.folder}/opt"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{tools_image.PAUSE}"

[plugins.'io.containerd.cri.v1.runtime']
# Lowering it takes a right that root of a container has not.
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
{pod_network.containerd_config(node)}"""


def _kubelet(place: Place, node: NodePlace) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": os.fspath(place.pki / "ca.crt")},
        },
        # Of all who have a certificate: the API server.
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": DOMAIN,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        # What it cannot set on a machine that is a container itself, it then goes without.
        "featureGates": {"KubeletInUserNamespace": True} | dict.fromkeys(GATES, True),
        # The disk is the machine's, and how full it is says nothing about the cluster.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "volumePluginDir": os.fspath(node.folder / "volume-plugins"),
    }


def _start(
    place: Place,
    node: NodePlace,
    role: str,
    *argv: str | Path,
    environment: dict[str, str] | None = None,
) -> int:
    name = f"{node.name}-{role}"
    return processes.start(place.folder, name, argv, place.logs / f"{name}.log", environment)
