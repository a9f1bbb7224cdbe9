"""VMDK, VHDX and VDI images that name what is not theirs, or claim what is not there."""

from collections.abc import Iterable

from launcher.image.format import vhdx as spec
from tests.unit.image.format.foreign_headers import EXTENT, MIB, descriptor, vdi, vhdx, vmdk
from tests.unit.image.format.hostile.trap import TIB, Trap, made


def of_vmware() -> Iterable[Trap]:
    flat = 'RW 2048 FLAT "/etc/shadow" 0'
    for name, words, extents in (
        ("VMDK names a host file", "RW FLAT, kept in another file", [flat]),
        ("VMDK names two", "names 2 files", [EXTENT, flat]),
        ("VMDK names none", "names 0 files", []),
        ("VMDK of VMFS", "RW VMFS, kept", ['RW 2048 VMFS "x"']),
        ("VMDK of zeros", "RW ZERO, kept", ["RW 2048 ZERO"]),
        ("VMDK at a path", "said to be in '/etc/shadow'", ['RW 2048 SPARSE "/etc/shadow"']),
        ("VMDK at a server", "said to be in 'nbd:x'", ['RW 2048 SPARSE "nbd:x"']),
        ("VMDK with a line of its own", "not known: 'do", ["do as I say", EXTENT]),
    ):
        yield Trap(name, vmdk(descriptor(extents=extents)), words)
    hint = 'parentFileNameHint="/etc/shadow"'
    for name, words, text in (
        ("VMDK with a parent", "it has a parent", descriptor(more=[hint])),
        ("VMDK with a parent's CID", "it has a parent", descriptor(parent="12345678")),
        ("VMDK with a commented parent", "it has a parent", descriptor(more=[f"# {hint}"])),
        # QEMU reads twenty sectors, however long the descriptor is said to be.
        (
            "VMDK with a parent behind",
            "it has a parent",
            descriptor() + b"\n" * 900 + hint.encode(),
        ),
        ("VMDK in other files", "'monolithicflat'", descriptor(type_="monolithicFlat")),
        ("VMDK without a descriptor", "of the type ''", b""),
    ):
        yield Trap(name, vmdk(text, descriptor_sectors=1 if "behind" in name else 20), words)
    host = descriptor(type_="monolithicFlat", extents=[flat])
    yield Trap("VMDK without sectors", vmdk(host, capacity=0), "it holds no disk")
    yield Trap("VMDK by its text alone", host, "description, without its data")
    yield from made(
        vmdk,
        ("VMDK of 1 PiB", "1024 TiB.*IMG_MAX_SIZE", {"capacity": 1 << 41}),
        ("VMDK of 8 ZiB", "TiB.*IMG_MAX_SIZE", {"capacity": (1 << 64) - 1}),
        ("VMDK of version 4", "version 4", {"version": 4}),
        ("VMDK descriptor elsewhere", "not where QEMU reads", {"descriptor_at": 99}),
        ("VMDK descriptor bomb", "claims 4294967296 sec", {"descriptor_sectors": 1 << 32}),
        ("VMDK grains of 1 GiB", "2097152 sectors", {"grain": 1 << 21}),
        ("VMDK grains of nothing", "0 sectors", {"grain": 0}),
        ("VMDK tables of nothing", "0 entries", {"entries": 0}),
        ("VMDK directory outside", "grain directory lies", {"directory": 1 << 40}),
        ("VMDK copy outside", "grain directory lies", {"second_directory": 1 << 40}),
        ("VMDK directory bomb", "grain directory lies", {"capacity": 1 << 32, "grain": 8}),
        ("VMDK cut", "not end before it does", {"overhead": 1 << 40}),
        ("VMDK without its footer", "not end as a stream", {"directory": (1 << 64) - 1}),
        ("VMDK sent as text", "transfer as text", {"line_ends": b"\n \n\n"}),
        ("VMDK packed otherwise", r"not known here \(2\)", {"compression": 2}),
    )
    # The footer counts, where there is one.
    yield from made(
        lambda **fields: vmdk(directory=(1 << 64) - 1, footer=vmdk(**fields)),
        ("VMDK footer of 1 PiB", "1024 TiB.*IMG_MAX_SIZE", {"capacity": 1 << 41}),
        ("VMDK footer without sectors", "it holds no disk", {"capacity": 0}),
    )


def of_others() -> Iterable[Trap]:
    """Those of Hyper-V and VirtualBox."""
    metadata, blocks = (spec.METADATA, 2 * MIB, MIB, 1), (spec.BLOCKS, 3 * MIB, MIB, 1)
    log = b"l" * 16
    yield from made(
        vhdx,
        ("VHDX with a parent", "it has a parent", {"flags": 2}),
        ("VHDX with a parent's name", "it has a parent", {"items": [(spec.PARENT, b"x" * 20)]}),
        ("VHDX with a log", "left in its log", {"logs": (bytes(16), log)}),
        (
            "VHDX with a log in its first header",
            "left in its log",
            {"logs": (log, bytes(16)), "sequences": (2, 1)},
        ),
        ("VHDX of version 2", "neither of its two headers", {"version": 2}),
        ("VHDX of 1 PiB", "1024 TiB.*IMG_MAX_SIZE", {"disk": 1024 * TIB}),
        ("VHDX of nothing", "disk of 0 bytes", {"disk": 0}),
        ("VHDX of half a sector", "whole number of sectors", {"disk": MIB + 100}),
        ("VHDX of 2 TiB in 1 MiB", "block table has 1048576", {"disk": 2 * TIB}),
        ("VHDX blocks of 4 GiB", "blocks of 4294967295", {"block": 0xFFFFFFFF}),
        ("VHDX blocks of nothing", "blocks of 0", {"block": 0}),
        ("VHDX sectors of 1", "sectors of 1 bytes", {"sector": 1}),
        ("VHDX cut", "lies outside of it", {"length": 3 * MIB}),
        ("VHDX cut in its header", "ends inside its header", {"length": MIB // 2}),
        (
            "VHDX blocks outside",
            "lies outside",
            {"regions": [metadata, (spec.BLOCKS, 1 << 50, MIB, 1)]},
        ),
        (
            "VHDX table bomb",
            "lies outside",
            {"regions": [metadata, (spec.BLOCKS, 3 * MIB, 4095 * MIB, 1)]},
        ),
        (
            "VHDX metadata outside",
            "lies outside",
            {"regions": [blocks, (spec.METADATA, 1 << 50, MIB, 1)]},
        ),
        ("VHDX without metadata", "lacks its block table", {"regions": [blocks]}),
        (
            "VHDX region unknown",
            "required region",
            {"regions": [metadata, blocks, (b"?" * 16, MIB, MIB, 1)]},
        ),
        (
            "VHDX regions bomb",
            "table of regions",
            {"regions": [(b"?" * 16, MIB, MIB, 0)] * 2047 + [blocks]},
        ),
    )
    yield from made(
        vdi,
        ("VDI with a parent", "it has a parent", {"parent": b"p" * 16}),
        ("VDI with a link", "it has a parent", {"link": b"l" * 16}),
        ("VDI that differs", "it has a parent", {"type_": 4}),
        ("VDI of type 9", "of the type 9", {"type_": 9}),
        ("VDI of version 0.1", r"version 0\.1", {"version": 1}),
        ("VDI of 1 PiB", "1024 TiB.*IMG_MAX_SIZE", {"disk": 1024 * TIB, "blocks": 1 << 30}),
        ("VDI of nothing", "disk of 0 bytes", {"disk": 0}),
        ("VDI map bomb", "claims 1073741823 blocks", {"blocks": 0x3FFFFFFF}),
        ("VDI map too small", "claims 1 blocks", {"disk": 5 * MIB}),
        ("VDI map in its data", "runs into its data", {"blocks": 512, "disk": 512 * MIB}),
        ("VDI map in its header", "block map is at 0", {"map_at": 0}),
        ("VDI map cut", "runs into its data", {"length": 512}),
        ("VDI block outside", "contradicts itself", {"entries": [1]}),
        (
            "VDI block twice",
            "contradicts itself",
            {"entries": [0, 0], "disk": 2 * MIB, "blocks": 2},
        ),
        ("VDI cut", "the file is cut short", {"entries": [0]}),
        ("VDI blocks of 3 bytes", "blocks of 3 bytes", {"block": 3}),
        ("VDI sectors of 4 KiB", "sectors of 4096", {"sector": 4096}),
        ("VDI cut in its header", "ends inside its header", {"length": 100}),
    )
