"""The guest's network in writing, for guests that get no DHCP: OpenStack's form and netplan's."""

from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from launcher.seed.yaml_text import Json

ANY = str(IPv4Address(0))


class StaticNetwork(NamedTuple):
    """What DHCP would have said. `prefix` is the length of the netmask, `mtu` is in bytes."""

    mac: str
    address: IPv4Address
    prefix: int
    gateway: IPv4Address
    mtu: int
    name_servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()


def network_data(network: StaticNetwork) -> dict[str, Json]:
    """OpenStack's network_data.json (nova's JSON schema `network_data`).

    `dns_search` is not in that schema; cloud-init takes it, and others pass over it. Its netplan
    renderer then passes over the name servers among the services, so `dns_nameservers` is there
    too.
    """
    link: dict[str, Json] = {
        "id": "interface0",
        # A type that cloud-init, cloudbase-init and Talos alike take for a plain network card.
        "type": "phy",
        "ethernet_mac_address": network.mac,
        "mtu": network.mtu,
    }
    default: dict[str, Json] = {
        "network": ANY,
        "netmask": ANY,
        "gateway": str(network.gateway),
    }
    addresses: dict[str, Json] = {
        "id": "network0",
        "type": "ipv4",
        "link": "interface0",
        "ip_address": str(network.address),
        "netmask": str(IPv4Network((0, network.prefix)).netmask),
        "routes": [default],
    }
    if network.search:
        addresses["dns_search"] = list(network.search)
        addresses["dns_nameservers"] = list(network.name_servers)
    services: list[Json] = [{"type": "dns", "address": each} for each in network.name_servers]
    return {"links": [link], "networks": [addresses], "services": services}


def network_config(network: StaticNetwork) -> dict[str, Json]:
    """NoCloud's network-config, version 2, which is netplan's form without its `network:` around
    it (Talos refuses that wrapper, and cloud-init does not need it)."""
    card: dict[str, Json] = {
        "match": {"macaddress": network.mac},
        "mtu": network.mtu,
        "addresses": [f"{network.address}/{network.prefix}"],
        # `gateway4` is deprecated and `to: default` younger than many images.
        "routes": [{"to": f"{ANY}/0", "via": str(network.gateway)}],
    }
    names: dict[str, Json] = {}
    if network.name_servers:
        names["addresses"] = list(network.name_servers)
    if network.search:
        names["search"] = list(network.search)
    if names:
        card["nameservers"] = names
    return {"version": 2, "ethernets": {"interface0": card}}
