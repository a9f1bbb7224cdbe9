"""The VM's network card and what is behind it: a tap, or QEMU's own network stack."""

from collections.abc import Iterator

from launcher.machine.devices import Fd, Nic, UserNic
from launcher.machine.options import Values, Words, option


def options(nic: Nic | UserNic) -> Iterator[Words]:
    # No boot ROM: the VM boots from its disk, and loading iPXE would delay each start.
    card: Values = {"netdev": "net0", "mac": nic.mac, "host_mtu": None, "romfile": ""}
    if isinstance(nic, Nic):
        yield tap(nic)
        card["host_mtu"] = nic.mtu
    else:
        yield user(nic)
    yield option("-device", "virtio-net-pci", card)


def tap(nic: Nic) -> Words:
    values: Values = {"id": "net0"}
    if isinstance(nic.tap, Fd):
        values |= {"fd": nic.tap.number}
    else:
        values |= {"ifname": nic.tap, "script": "no", "downscript": "no"}
    if nic.vhost:
        values |= {"vhost": True, "vhostfd": nic.vhost.number}
    return option("-netdev", "tap", values)


def user(nic: UserNic) -> Words:
    """The MTU is slirp's own 1500, whatever the pod's is: it ends the guest's connections itself,
    and begins others."""
    values: Values = {
        "id": "net0",
        "ipv6": False,
        "net": str(nic.subnet),
        "host": str(nic.host),
        "dhcpstart": str(nic.guest),
        "dns": str(nic.dns),
        "hostname": nic.host_name or None,
        "domainname": nic.search[0] if nic.search else None,
    }
    flag, text = option("-netdev", "user", values)
    # These may come several times.
    text += "".join(f",dnssearch={each}" for each in nic.search)
    text += "".join(f",hostfwd={each}" for each in nic.forwards)
    return flag, text
