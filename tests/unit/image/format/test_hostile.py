"""Each image of the table of hostile ones is refused by what we read in it, in words of its own."""

import io
import re
from collections.abc import Iterator

import pytest

from launcher.host.errors import ImageRefused
from launcher.image.format import content, layers, policy, qcow2, vdi, vhdx, vmdk
from launcher.image.format.content import Kind
from tests.unit.image.format.hostile.table import TRAPS
from tests.unit.image.format.hostile.trap import MOST, Trap

JUDGES = {Kind.VMDK: vmdk.judge, Kind.VHDX: vhdx.judge, Kind.VDI: vdi.judge}


def in_chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 1 << 20):
        yield data[start : start + (1 << 20)]


def take(image: bytes, most: int = MOST) -> int:
    """All that is done with an image before qemu-img sees it; returns the disk's bytes."""
    disk = layers.peel(in_chunks(image), "IMG_SOURCE=/x", most)
    whole = b"".join(disk.chunks)
    if disk.kind is Kind.QCOW2:
        found = qcow2.readable(whole, "IMG_SOURCE=/x")
        policy.judge(found, most, len(whole))
        return found.virtual_size
    if disk.kind is Kind.RAW:
        content.check_raw(len(whole), whole[-512:], "IMG_SOURCE=/x")
        return len(whole)
    return JUDGES[disk.kind](io.BytesIO(whole), len(whole), most)


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_traps(trap: Trap) -> None:
    with pytest.raises(ImageRefused) as caught:
        take(trap.image)
    assert re.search(trap.words, str(caught.value)), caught.value


def test_each_has_a_name_of_its_own() -> None:
    assert len({trap.name for trap in TRAPS}) == len(TRAPS)
