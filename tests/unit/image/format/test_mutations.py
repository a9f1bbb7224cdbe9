"""Whatever stands in a header, it is accepted or refused: nothing else is raised, and soon."""

import random
from collections.abc import Callable

import pytest

from launcher.host.errors import ImageRefused
from launcher.image.format import vhdx as vhdx_format
from tests.unit.image.format.foreign_headers import MIB, vdi, vhdx, vmdk
from tests.unit.image.format.hostile.archives import sparse, tar
from tests.unit.image.format.hostile.trap import MOST, whole
from tests.unit.image.format.qcow2.headers import header
from tests.unit.image.format.qcow2.images import BITMAP, BLOCK, L1, L2, SNAPSHOT, TABLE, image
from tests.unit.image.format.test_hostile import take

ROUNDS = 400

# Values at which sums and products go wrong.
EDGES = (0, 1, 7, 8, 9, 63, 64, 511, 512, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1)

STREAM = vmdk(directory=2**64 - 1, footer=vmdk())
QCOW2 = header(backing=b"/base", extensions=[(0xE2792ACA, b"qcow2"), (0x6803F857, bytes(48))])
DISK = image()
# A sane image, and where in it the bytes are that mean something.
IMAGES: dict[str, tuple[Callable[[], bytes], tuple[range, ...]]] = {
    "qcow2": (lambda: DISK, (range(112),)),
    "qcow2 tables": (
        image,
        tuple(range(place, place + 24) for place in (TABLE, BLOCK, L1, L2)),
    ),
    "qcow2 with a snapshot": (
        lambda: image(**SNAPSHOT),
        tuple(range(place, place + 64) for place in SNAPSHOT["more"]),
    ),
    "qcow2 with a bitmap": (
        lambda: image(**BITMAP),
        (range(112, 144), *(range(place, place + 32) for place in BITMAP["more"])),
    ),
    "qcow2 overlay": (lambda: whole(QCOW2), (range(240),)),
    "vmdk": (vmdk, (range(80), range(512, 800))),
    "vmdk stream": (lambda: STREAM, (range(80), range(len(STREAM) - 1536, len(STREAM)))),
    "vdi": (lambda: vdi(entries=[0], length=1024 + MIB), (range(64, 456), range(512, 516))),
    "vhdx": (
        vhdx,
        (
            *(range(place, place + 80) for place in vhdx_format.HEADERS),
            range(vhdx_format.REGIONS, vhdx_format.REGIONS + 80),
            range(2 * MIB, 2 * MIB + 192),
            range(2 * MIB + (64 << 10), 2 * MIB + (64 << 10) + 48),
        ),
    ),
    "tar": (lambda: tar(("box.ovf", b"text"), ("disk", DISK)), (range(512), range(1024, 1536))),
    "sparse tar": (lambda: sparse(DISK, [(0, 512), (1024, len(DISK) - 512)], MIB), (range(512),)),
}


def mutated(image: bytes, places: tuple[range, ...], draw: random.Random) -> bytes:
    changed = bytearray(image)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        place = draw.choice(draw.choice(places))
        width = draw.choice((1, 1, 2, 4, 8))
        value = draw.choice((*EDGES, draw.getrandbits(64), 1 << draw.randrange(64)))
        changed[place : place + width] = (value % (1 << 8 * width)).to_bytes(
            width, draw.choice(("little", "big"))
        )
    return bytes(changed[: len(image)] if draw.random() < 0.9 else changed[: draw.choice(EDGES)])


@pytest.mark.parametrize("name", IMAGES)
def test_headers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever is changed in a VHDX image would else be a wrong checksum and no more.
    monkeypatch.setattr(vhdx_format, "crc32c", lambda data: int.from_bytes(data[4:8], "little"))
    make, places = IMAGES[name]
    image = make()
    draw = random.Random(name)
    refused = 0
    for number in range(ROUNDS):
        changed = mutated(image, places, draw)
        try:
            size = take(changed)
        except ImageRefused:
            refused += 1
        except Exception as err:
            raise AssertionError(f"round {number} of {name}: {changed[:600]!r}") from err
        else:
            assert 512 <= size <= MOST
    assert refused > ROUNDS // 10, "the bytes that are changed mean something"
