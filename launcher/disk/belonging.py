"""Whether a disk, its record and a base belong together. Pure.

A base that was replaced, or another one at its path, damages the guest's files without anybody
noticing: to qcow2 the overlay is as sound as before.
"""

from pathlib import Path

from launcher.disk.place import Place
from launcher.disk.record import PetRecord
from launcher.host.errors import ImageRefused, InputMissing
from launcher.image.base import Base
from launcher.image.format.qcow2.header import CORRUPT, Header


def check_disk(path: Path, disk: Header, record: PetRecord) -> None:
    """Refuse a disk that is not the one the record is of.

    :raise ImageRefused: with all that is different.
    """
    differences = []
    if disk.backing_file != str(record.base_path) or disk.backing_format != "qcow2":
        named = disk.backing_file or "nothing"
        differences.append(
            f"it stands on {named} (format {disk.backing_format or 'unknown'}), and its record "
            f"says {record.base_path} (format qcow2)"
        )
    if disk.has_data_file:
        differences.append("it keeps its data in another file")
    if disk.incompatible & CORRUPT:
        differences.append("it is marked as corrupt")
    if differences:
        raise ImageRefused(
            f"the pet's disk {path} may not be used: {' and '.join(differences)}",
            hint="put back the disk and the record that belong together",
        )


def check_base(place: Place, record: PetRecord, base: Base | None) -> Base:
    """Refuse a base that is not the very one, byte for byte and by path, that the pet stands on.

    :raise InputMissing: when there is none.
    :raise ImageRefused: with all that is different.
    """
    if base is None:
        raise InputMissing(
            f"the base of the pet {place.name} is gone: {record.base_path} "
            f"(sha256 {record.base_digest})",
            hint=f"put that file back, with its .json; it came from {record.source.shown}",
        )
    differences = []
    if base.digest != record.base_digest:
        differences.append(f"it has sha256 {base.digest}, and the pet's has {record.base_digest}")
    elif base.size != record.base_size:
        differences.append(f"it has {base.size} bytes, and the pet's has {record.base_size}")
    if base.path != record.base_path:
        differences.append(f"the pet's is {record.base_path}")
    if differences:
        raise ImageRefused(
            f"{base.path} is not the base of the pet {place.name}: {' and '.join(differences)}",
            hint="mount the shared volume at the path where it was when the pet was made",
        )
    return base
