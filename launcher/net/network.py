"""The network that the settings ask for, of either kind (pure)."""

from launcher.net import topology, user
from launcher.net.pod import PodNetwork
from launcher.net.topology import Topology
from launcher.net.user import UserNetwork
from launcher.settings.table import Settings

Network = Topology | UserNetwork


def make(settings: Settings, pod: PodNetwork, mac: str) -> Network:
    """Plan the network of the VM whose NIC has the address `mac`.

    :raise SettingsError: when VM_IP and VM_GW are not free in the pod.
    """
    if settings.network == "user":
        return user.make(settings, pod, mac)
    return topology.make(settings, pod, mac)
