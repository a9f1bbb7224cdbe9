"""What the VM's side of the pod's network will be (pure): names, addresses, DNS, kept ports."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from launcher.host.errors import SettingsError
from launcher.net.pod import PodNetwork
from launcher.settings.parse import Port
from launcher.settings.table import Settings

BRIDGE = "br0"
PORT = "tap0"
PREFIX = 30
LOOPBACK = IPv4Address("127.0.0.1")
VNC = Port("tcp", 5900)
# The largest MTU of a tap (kernel: drivers/net/tun.c). Some container networks have 65520.
MAX_MTU = 65521
# What fits into one DHCP option; dnsmasq refuses to start with a longer search list.
SEARCH_BYTES = 255
# Proposed in place of a VM_IP that the pod's network has no room for.
ALTERNATIVES = ("192.168.254.0", "172.31.254.0", "10.254.254.0", "198.18.254.0")


class Topology(NamedTuple):
    """Everything that links, NAT, DHCP, the config drive and QEMU need to know of the network.

    `dns` is what the guest is given. `forward_dns` is not empty when that is the bridge's own
    address: the servers to ask, as dnsmasq takes them. `own_resolvers` are those of them that
    sit on an address which otherwise leads to the VM. `notices` are finished sentences for
    the log.
    """

    uplink: str
    pod_address: IPv4Address
    gateway: IPv4Address
    gateway_mac: str
    vm_address: IPv4Address
    vm_mac: str
    vm_name: str
    mtu: int
    dhcp: bool
    dns: tuple[IPv4Address, ...]
    search: tuple[str, ...]
    forward_dns: tuple[str, ...] = ()
    own_resolvers: tuple[IPv4Address, ...] = ()
    kept: tuple[Port, ...] = ()
    notices: tuple[str, ...] = ()
    bridge: str = BRIDGE
    port: str = PORT

    @property
    def netmask(self) -> IPv4Address:
        return IPv4Network((self.gateway, PREFIX), strict=False).netmask

    @property
    def summary(self) -> str:
        """One line for people: which address leads to the VM, and by which ports it does not."""
        kept = " and ".join(str(port) for port in self.kept)
        return f"every port of {self.pod_address} leads to the VM" + (
            f", except {kept}" * bool(kept)
        )

    @property
    def needs_dnsmasq(self) -> bool:
        return self.dhcp or bool(self.forward_dns)


def make(settings: Settings, pod: PodNetwork, mac: str) -> Topology:
    """Plan the network of the VM whose NIC has the address `mac`.

    :raise SettingsError: when VM_IP and VM_GW are not free in the pod.
    """
    refuse_overlap(settings, pod, PREFIX)
    kept = set(settings.pod_ports) | (set() if settings.no_vnc else {VNC})
    dns, forward = _resolution(settings, pod)
    search = fitting(pod.search, SEARCH_BYTES)
    return Topology(
        uplink=pod.interface,
        pod_address=pod.address,
        gateway=settings.vm_gw,
        gateway_mac=gateway_mac(mac),
        vm_address=settings.vm_ip,
        vm_mac=mac,
        vm_name=settings.vm_name,
        mtu=min(pod.mtu, MAX_MTU),
        dhcp=not settings.no_dhcp,
        dns=dns,
        search=search,
        forward_dns=forward,
        own_resolvers=tuple(server for server in (LOOPBACK, pod.address) if str(server) in forward),
        kept=tuple(sorted(kept)),
        notices=tuple(_notices(pod, dns, forward, search)),
    )


def gateway_mac(mac: str) -> str:
    """The bridge's address: the VM's, with two bits of its first octet flipped.

    A guest that finds another gateway MAC after a restart may take it for another network
    (Windows then asks which kind). Both bits lie beside the ones that say "local" and "group".
    """
    first, rest = mac.split(":", 1)
    return f"{int(first, 16) ^ 0x0C:02x}:{rest}".lower()


def refuse_overlap(settings: Settings, pod: PodNetwork, prefix: int) -> None:
    """See to it that the VM's network of length `prefix` hides nothing of the pod's.

    :raise SettingsError: with a network that is free.
    """
    subnet = IPv4Network((settings.vm_gw, prefix), strict=False)
    problem = _why_not(subnet, pod)
    if not problem:
        return
    free = (IPv4Network((each, prefix)) for each in ALTERNATIVES)
    other = next((each for each in free if not _why_not(each, pod)), None)
    hint = f"VM_GW={other[1]} and VM_IP={other[2]} are free here" if other else "use others"
    raise SettingsError(
        [
            f"VM_IP='{settings.vm_ip}' and VM_GW='{settings.vm_gw}' are not accepted: {subnet} "
            f"{problem}; accepted: a /{prefix} that the pod does not use (hint: {hint})"
        ]
    )


def _why_not(subnet: IPv4Network, pod: PodNetwork) -> str:
    # Our own bridge is still there when only the container was restarted.
    for use in pod.uses:
        if use.interface != BRIDGE and use.network.overlaps(subnet):
            return f"overlaps {use}"
    for server in pod.nameservers:
        if isinstance(server, IPv4Address) and server in subnet:
            return f"has the pod's name server {server} in it"
    return ""


def _resolution(
    settings: Settings, pod: PodNetwork
) -> tuple[tuple[IPv4Address, ...], tuple[str, ...]]:
    """What the guest is given as name servers, and whom dnsmasq asks if that is itself.

    Servers on the pod's loopback (Docker's 127.0.0.11) or on its own address cannot be reached by
    the guest, and an IPv6 one cannot be reached over IPv4; the pod can reach all of them.
    """
    servers = [each for each in pod.nameservers if not each.is_unspecified]
    ipv4 = tuple(each for each in servers if isinstance(each, IPv4Address))
    if not servers:
        return (), ()
    if not ipv4 or any(each.is_loopback or each == pod.address for each in servers):
        return (settings.vm_gw,), tuple(str(each) for each in servers)
    return ipv4, ()


def fitting(search: tuple[str, ...], room: int) -> tuple[str, ...]:
    """The leading domains that fit into `room` bytes in RFC 1035's uncompressed form."""
    kept = []
    for domain in search:
        room -= len(domain) + 2
        if room < 0:
            break
        kept.append(domain)
    return tuple(kept)


def _notices(
    pod: PodNetwork,
    dns: tuple[IPv4Address, ...],
    forward: tuple[str, ...],
    search: tuple[str, ...],
) -> Iterator[str]:
    if not dns:
        yield "the pod has no name server, so the guest is given none"
    elif forward:
        yield (
            f"the guest cannot reach the pod's name servers ({', '.join(forward)}), so {dns[0]} "
            "answers it and asks them"
        )
    elif left_out := [str(each) for each in pod.nameservers if each not in dns]:
        yield f"name servers the guest cannot reach are left out: {', '.join(left_out)}"
    if left_out := list(pod.search[len(search) :]):
        yield f"search domains that do not fit into DHCP are left out: {', '.join(left_out)}"
    if pod.unreadable:
        yield f"resolv.conf has words that are not understood: {', '.join(pod.unreadable)}"
