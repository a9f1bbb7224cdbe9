"""The VM's drives: the pet's overlay on its base, extra disks, the config drive."""

from collections.abc import Iterator

from launcher.machine.devices import Machine, PetDisk, RawDisk, Seed
from launcher.machine.options import Values, Words, option

# An error that is reported becomes the guest's: it makes its file system read-only and forgets what
# it had still to write, though network storage that was away is often back in a minute. So QEMU
# stops the VM instead and keeps the request, which `cont` sends again (`launcher.life.recovery`).
# Of writes that find no space this is QEMU's own default; here it is so for every error, as oVirt
# and KubeVirt have it.
ON_ERROR: Values = {"werror": "stop", "rerror": "stop"}

# Names of block nodes, by which QEMU tells of errors.
PET_NODE = "pet"


def extra_node(number: int) -> str:
    return f"disk{number}"


def options(machine: Machine) -> Iterator[Words]:
    yield option("-object", "iothread", {"id": "io0"})
    yield from pet(machine.pet)
    for number, disk in enumerate(machine.disks):
        yield from raw(extra_node(number), disk)
    if machine.seed:
        yield from seed(machine.seed)


def pet(disk: PetDisk) -> Iterator[Words]:
    """The base is opened buffered, so that the pods of a node share its pages; the overlay, which
    is nobody else's, goes past the page cache."""
    base: Values = {
        "node-name": "base",
        "driver": "qcow2",
        "read-only": True,
        "file.driver": "file",
        "file.filename": disk.base,
    }
    overlay: Values = {
        "node-name": PET_NODE,
        "driver": "qcow2",
        # Named here, so that QEMU does not follow the path in the overlay's header.
        "backing": "base",
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "cache.direct": disk.direct,
        "file.driver": "file",
        "file.filename": disk.overlay,
        "file.aio": disk.aio,
        "file.discard": "unmap",
        "file.cache.direct": disk.direct,
    }
    yield option("-blockdev", "", base)
    yield option("-blockdev", "", overlay)
    front: Values = {"drive": PET_NODE, "iothread": "io0", "bootindex": 1, **ON_ERROR}
    yield option("-device", "virtio-blk-pci", front)


def raw(node: str, disk: RawDisk) -> Iterator[Words]:
    """An extra disk. Its format is given, never probed: a guest may write another's header there
    (CVE-2026-24708)."""
    values: Values = {
        "node-name": node,
        "driver": "raw",
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "cache.direct": disk.direct,
        "file.driver": "host_device" if disk.block else "file",
        "file.filename": disk.path,
        "file.aio": disk.aio,
        "file.discard": "unmap",
        "file.cache.direct": disk.direct,
    }
    yield option("-blockdev", "", values)
    yield option("-device", "virtio-blk-pci", {"drive": node, "iothread": "io0", **ON_ERROR})


def seed(drive: Seed) -> Iterator[Words]:
    values: Values = {
        "node-name": "seed",
        "driver": "raw",
        "read-only": True,
        "file.driver": "file",
        "file.filename": drive.path,
    }
    yield option("-blockdev", "", values)
    match drive.bus:
        case "virtio":
            yield option("-device", "virtio-blk-pci", {"drive": "seed"})
        case "sata":
            yield option("-device", "ide-cd", {"drive": "seed", "bus": "ide.0"})
        case "scsi":
            yield option("-device", "virtio-scsi-pci", {"id": "scsi0"})
            yield option("-device", "scsi-cd", {"drive": "seed", "bus": "scsi0.0"})
