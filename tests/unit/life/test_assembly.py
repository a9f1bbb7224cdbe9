"""What is known of the files behind the VM's disks."""

from pathlib import Path

from launcher.disk.extra import ExtraDisk
from launcher.disk.pet import Pet
from launcher.disk.record import PetRecord
from launcher.disk.space import Backing
from launcher.image.store.record import Address
from launcher.life import assembly
from launcher.machine import drives


def test_what_each_disk_is_kept_in() -> None:
    """No format is ever probed, and a device takes no space that can be seen."""
    source = Address("https://example.org/disk.qcow2")
    record = PetRecord("web-0", "", "", "1" * 64, Path("/shared/base"), 8, source, "then")
    pet = Pet(record, Path("/pet/web-0.qcow2"), 20)
    file = ExtraDisk(Path("/disks/a.img"), is_block=False, size=512)
    device = ExtraDisk(Path("/disks/b"), is_block=True)
    assert assembly.backings(pet, (file, device)) == {
        drives.PET_NODE: Backing(pet.path, 20, "qcow2"),
        drives.extra_node(0): Backing(file.path, 512, "raw"),
        drives.extra_node(1): Backing(device.path, None, "raw"),
    }
