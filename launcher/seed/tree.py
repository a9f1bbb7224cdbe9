"""The files on the config drive, as values: OpenStack's tree and NoCloud's. Nothing here acts."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from launcher.seed import metadata
from launcher.seed.metadata import Identity
from launcher.seed.network import StaticNetwork, network_config, network_data
from launcher.seed.yaml_text import Json

# The volume labels by which the guest finds its drive.
OPENSTACK_LABEL = "config-2"
NOCLOUD_LABEL = "cidata"

# Versions of OpenStack's format (nova: Folsom and Liberty, the first with network_data.json).
FOLSOM, LIBERTY, LATEST = "2012-08-10", "2015-10-15", "latest"


class File(NamedTuple):
    """One file: its path on the drive, with slashes, and its bytes."""

    path: str
    content: bytes


Tree = tuple[File, ...]


def openstack(
    identity: Identity,
    given: Mapping[str, Json],
    userdata: bytes | None,
    network: StaticNetwork | None = None,
) -> Tree:
    """OpenStack's config drive, version 2 (nova: api/metadata/base.py).

    :param given: the user's metadata, laid over what is made here.
    :param userdata: passed on byte for byte; None leaves the file out.
    :param network: the network in writing, for a guest without DHCP.
    """
    files = [("meta_data.json", _json(meta_data(identity, given)))]
    if userdata is not None:
        files.append(("user_data", userdata))
    versions = [FOLSOM, LATEST]
    if network:
        # cloud-init reads the newest dated folder it knows and `latest` only when there is none:
        # network_data.json in `latest` alone would never be seen.
        versions[1:1] = [LIBERTY]
    tree = [
        File(f"openstack/{version}/{name}", content)
        for version in versions
        for name, content in files
    ]
    if network:
        text = _json(network_data(network))
        tree += [File(f"openstack/{each}/network_data.json", text) for each in versions[1:]]
    return tuple(tree)


def meta_data(identity: Identity, given: Mapping[str, Json]) -> dict[str, Json]:
    """OpenStack's meta_data.json.

    Its `uuid` becomes cloud-init's instance-id, whatever else is given, and has to be the UUID
    of the machine: cloud-init compares the two to tell a reboot from a new instance.
    """
    index = metadata.launch_index(given, identity.name)
    result: dict[str, Json] = {
        **given,
        "name": metadata.text(given.get("name")) or identity.name,
        "uuid": identity.uuid,
        "hostname": metadata.first_text(given, metadata.HOSTNAMES) or identity.name,
        # OpenStack's spelling, and the one under which cloud-init looks for it nevertheless.
        "launch_index": index,
        "launch-index": index,
    }
    zone = metadata.first_text(given, metadata.ZONES)
    if zone:
        result["availability_zone"] = zone
    keys = metadata.public_keys(given)
    if keys:
        result["public_keys"] = dict(keys)
    return result


def nocloud(
    identity: Identity,
    given: Mapping[str, Json],
    userdata: bytes | None,
    network: StaticNetwork | None = None,
) -> Tree:
    """cloud-init's NoCloud drive. Both `meta-data` and `user-data` have to be there.

    Parameters as for `openstack`.
    """
    tree = [
        File("meta-data", _json(nocloud_meta_data(identity, given))),
        File("user-data", userdata or b""),
    ]
    if network:
        tree.append(File("network-config", _json(network_config(network))))
    return tuple(tree)


def nocloud_meta_data(identity: Identity, given: Mapping[str, Json]) -> dict[str, Json]:
    """NoCloud's meta-data. Its instance-id is the user's to change: that is how one makes
    cloud-init take the guest for a new instance and run all of user-data again."""
    hostname = metadata.first_text(given, tuple(reversed(metadata.HOSTNAMES)))
    result: dict[str, Json] = {
        **given,
        "name": metadata.text(given.get("name")) or identity.name,
        "instance-id": metadata.text(given.get("instance-id")) or identity.uuid,
        "uuid": identity.uuid,
        "local-hostname": hostname or identity.name,
        "launch-index": metadata.launch_index(given, identity.name),
    }
    keys = metadata.public_keys(given)
    if keys:
        # A list: cloudbase-init takes a mapping only in EC2's shape.
        result["public-keys"] = list(keys.values())
    return result


def _json(value: Mapping[str, Json]) -> bytes:
    """JSON, which is YAML too; sorted, so that equal values are equal bytes."""
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"
