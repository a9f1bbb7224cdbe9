"""The VM behind QEMU's own network stack (slirp), which needs no right at all (pure).

QEMU opens ordinary sockets in the pod for what the guest sends, and listens on the ports that
HOSTFWD names. There is no link, no rule and no DHCP server of ours then: slirp's has all that.

::

    VM_IP                  the VM, by slirp's DHCP
    VM_GW                  slirp: the gateway; what the guest sends there reaches the pod's loopback
    the first address of their /29 besides   slirp's name server, which asks the pod's

Its options want the three of them to be different hosts of one network, for which a /30 has no
room.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from launcher.net.pod import PodNetwork
from launcher.net.topology import fitting, refuse_overlap
from launcher.settings.hostfwd import Forward
from launcher.settings.table import Settings

PREFIX = 29

# libslirp (slirp.h, struct Slirp): client_hostname has 33 bytes.
LONGEST_HOST_NAME = 32
# Bytes of DHCP's options (bootp.h: DHCP_OPT_LEN is 312) that search and domain name can have.
SEARCH_BYTES = 234


class UserNetwork(NamedTuple):
    """What QEMU has to be told of the network. `dns` is slirp's own server.

    `host_name` is empty where the VM's is too long for slirp. `notices` are finished sentences for
    the log.
    """

    pod_address: IPv4Address
    subnet: IPv4Network
    gateway: IPv4Address
    vm_address: IPv4Address
    dns: IPv4Address
    vm_mac: str
    host_name: str
    search: tuple[str, ...]
    forwards: tuple[Forward, ...]
    notices: tuple[str, ...]

    @property
    def summary(self) -> str:
        """One line for people: which ports of which address lead to the VM."""
        return f"{self.pod_address} leads to the VM by {self.doors or 'no port'}"

    @property
    def doors(self) -> str:
        return ", ".join(
            f"{each.protocol}/{each.host_port} (its {each.guest_port})" for each in self.forwards
        )


def make(settings: Settings, pod: PodNetwork, mac: str) -> UserNetwork:
    """Plan the network of the VM whose NIC has the address `mac`.

    :raise SettingsError: when the /29 of VM_IP and VM_GW is not free in the pod.
    """
    refuse_overlap(settings, pod, PREFIX)
    subnet = IPv4Network((settings.vm_gw, PREFIX), strict=False)
    taken = (settings.vm_ip, settings.vm_gw)
    domain = pod.search[0] if pod.search else ""
    search = fitting(pod.search, SEARCH_BYTES - len(domain))
    return UserNetwork(
        pod_address=pod.address,
        subnet=subnet,
        gateway=settings.vm_gw,
        vm_address=settings.vm_ip,
        dns=next(each for each in subnet.hosts() if each not in taken),
        vm_mac=mac,
        host_name=settings.vm_name if len(settings.vm_name) <= LONGEST_HOST_NAME else "",
        search=search,
        forwards=settings.hostfwd,
        notices=tuple(_notices(settings, pod, search)),
    )


def _notices(settings: Settings, pod: PodNetwork, search: tuple[str, ...]) -> Iterator[str]:
    if not settings.hostfwd:
        yield "HOSTFWD is not set, so nobody reaches the VM over the network"
    servers = [each for each in pod.nameservers if isinstance(each, IPv4Address)]
    if not servers:
        yield "the pod has no IPv4 name server, so the guest resolves no names"
    elif len(pod.nameservers) > 1:
        yield f"QEMU asks only one of the pod's name servers, {servers[0]}"
    if left_out := list(pod.search[len(search) :]):
        yield f"search domains that do not fit into DHCP are left out: {', '.join(left_out)}"
    if not settings.no_vnc and settings.vnc_password_file is None:
        yield f"what runs in the guest reaches its screen at {settings.vm_gw}:5900, unasked"
    if len(settings.vm_name) > LONGEST_HOST_NAME:
        yield f"QEMU's DHCP has no room for the host name {settings.vm_name}; the drive has it"
