"""What is to be done about the pet: decided from what was found, before anything is done. Pure.

::

    record   disk   disk under way
      –       –          –          make it
      –       –          ✓          left by a crash before it was complete: make it anew
      ✓       –          ✓          left by a crash after it was: finish it
      ✓       ✓          any        use it, grown if need be
      ✓       –          –          refused: the disk is gone
      –       ✓          any        refused: nobody knows what it stands on

A disk that is moved to another base goes through these states, there and back; B is the base that
the record names, A the former one, which it names too::

    record   disk   disk under way
      A       A          –          as it was; a copy is moved, compared, and made to last
      A       A          B          use it; what is under way is removed
      B       A          B          the record has decided: finish it, the old disk is kept
      B       –          B          finish it
      B       B          –          use it; the old disk is kept until that is confirmed
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from launcher.disk.belonging import check_base, check_disk
from launcher.disk.place import Place
from launcher.disk.record import PetRecord, mac_of, new_uuid
from launcher.host.errors import InputMissing, SettingsError
from launcher.image.base import Base
from launcher.image.format.qcow2.header import Header
from launcher.image.progress import size as shown_size
from launcher.image.store.record import Address
from launcher.settings.table import Settings

SECTOR = 512

Action = Literal["create", "finish", "use"]


class Found(NamedTuple):
    """What is on the pet's volume: the headers of its disk and of one under way.

    `leftover`: whether there is a disk under way; its header is read only where there is a record
    that says it is complete.
    """

    record: PetRecord | None = None
    disk: Header | None = None
    new_disk: Header | None = None
    leftover: bool = False


class PetPlan(NamedTuple):
    """One of three actions, with growth after the last two where `grow_from` is given.

    `base`: None only for a pet to be made whose base has not been fetched yet; such a plan can be
    shown, not carried out. `size`, `grow_from`: bytes of the disk as the guest sees it; `size` is
    None where only the base would tell. `record`: None for a pet to be made. `notices` are finished
    sentences for the user.
    """

    place: Place
    found: Found
    action: Action
    uuid: str
    mac: str
    base: Base | None
    size: int | None
    grow_from: int | None
    source: Address
    notices: tuple[str, ...]

    def words(self) -> tuple[str, ...]:
        """What would be done, a line for each step."""
        on = self.base.path if self.base else "the base, once it is fetched"
        size = f" of {shown_size(self.size)}" if self.size else ""
        match self.action:
            case "create":
                return (f"make the pet {self.place.disk}{size} on {on}",)
            case "finish":
                first = f"finish the pet {self.place.disk}, which was left half made"
            case "use":
                first = f"use the pet {self.place.disk}"
        if self.grow_from is None or self.size is None:
            return (first,)
        return (first, f"grow it from {shown_size(self.grow_from)} to {shown_size(self.size)}")


def plan(
    settings: Settings,
    found: Found,
    base: Base | None,
    *,
    wanted_uuid: str | None = None,
    draw: Callable[[], str] = new_uuid,
) -> PetPlan:
    """Decide about the pet.

    :param base: the base of the pet's record if there is one; else the one to make it on, None if
        that has not been fetched.
    :param wanted_uuid: the UUID that the user's metadata asks for.
    :param draw: makes a UUID for a new pet that nobody wants a certain one for.
    :raise SettingsError: for a disk size or a UUID that the pet cannot have.
    :raise InputMissing: when the disk, the record or the base is gone.
    :raise ImageRefused: when disk, record and base do not belong together.
    """
    place = Place(settings.pet_dir, settings.vm_name)
    if found.record is None:
        return _new(settings, place, found, base, wanted_uuid, draw)
    return _kept(settings, place, found, found.record, base, wanted_uuid)


def _new(
    settings: Settings,
    place: Place,
    found: Found,
    base: Base | None,
    wanted_uuid: str | None,
    draw: Callable[[], str],
) -> PetPlan:
    if found.disk:
        raise InputMissing(
            f"{place.disk} is there without its record {place.record.name}, so nobody knows what "
            "it stands on; it is left alone",
            hint="put the record back from a copy, or move the disk away to start with a new one",
        )
    least = base.virtual_size if base else 0
    size = _sectors(settings.vm_disk_size)
    if size and size < least:
        problem = (
            f"VM_DISK_SIZE is {_both(settings.vm_disk_size or 0)}, and the image's disk has "
            f"{_both(least)}; accepted: {least} bytes or more, or nothing"
        )
        raise SettingsError([problem])
    return PetPlan(
        place=place,
        found=found,
        action="create",
        uuid=wanted_uuid or draw(),
        mac=mac_of(settings.vm_name),
        base=base,
        size=size or least or None,
        grow_from=None,
        source=_source(settings),
        notices=(),
    )


def _kept(
    settings: Settings,
    place: Place,
    found: Found,
    record: PetRecord,
    base: Base | None,
    wanted_uuid: str | None,
) -> PetPlan:
    is_ready = found.disk is not None and not is_half_moved(found)
    path, disk = (place.disk, found.disk) if is_ready else (place.new_disk, found.new_disk)
    if disk is None:
        raise InputMissing(
            f"the pet's disk {place.disk} is gone, and its record {place.record.name} is there",
            hint="put the disk back, or remove the record to start with a new disk",
        )
    check_disk(path, disk, record)
    base = check_base(place, record, base)
    problems = [*_uuid_problems(place, record, wanted_uuid), *_size_problems(settings, disk)]
    if problems:
        raise SettingsError(problems)
    size = max(disk.virtual_size, _sectors(settings.vm_disk_size) or 0)
    return PetPlan(
        place=place,
        found=found,
        action="use" if is_ready else "finish",
        uuid=record.uuid,
        mac=record.mac,
        base=base,
        size=size,
        grow_from=disk.virtual_size if size > disk.virtual_size else None,
        source=record.source,
        notices=tuple(filter(None, (_size_kept(settings, disk), _base_kept(settings, record)))),
    )


def is_half_moved(found: Found) -> bool:
    """Whether the record names another base already, and the disk has not followed yet."""
    record, disk, new_disk = found.record, found.disk, found.new_disk
    if not record or not record.former or not disk or not new_disk:
        return False
    return (disk.backing_file, new_disk.backing_file) == (
        str(record.former.base_path),
        str(record.base_path),
    )


def _uuid_problems(place: Place, record: PetRecord, wanted: str | None) -> Iterator[str]:
    if wanted and wanted != record.uuid:
        yield (
            f"the metadata's uuid stands for {wanted}, and the pet {place.name} has been "
            f"{record.uuid} from its beginning; accepted: that one, or none"
        )


def _size_problems(settings: Settings, disk: Header) -> Iterator[str]:
    if _is_smaller(settings, disk) and settings.on_smaller_size == "refuse":
        yield (
            f"VM_DISK_SIZE is {_both(settings.vm_disk_size or 0)}, and the pet's disk has "
            f"{_both(disk.virtual_size)}, which never shrinks; accepted: {disk.virtual_size} bytes "
            "or more, or nothing (hint: a smaller disk takes a new VM; ON_SMALLER_SIZE=keep starts "
            "this one as it is)"
        )


def _size_kept(settings: Settings, disk: Header) -> str:
    """What to say of a size that the disk has outgrown, as after a roll-back."""
    if not _is_smaller(settings, disk):
        return ""
    return (
        f"VM_DISK_SIZE is {_both(settings.vm_disk_size or 0)}; the disk keeps its "
        f"{_both(disk.virtual_size)}, since it only ever grows; set VM_DISK_SIZE to "
        f"{disk.virtual_size} or more, or to nothing (a smaller disk takes a new VM)"
    )


def _is_smaller(settings: Settings, disk: Header) -> bool:
    wanted = _sectors(settings.vm_disk_size)
    return wanted is not None and wanted < disk.virtual_size


def _base_kept(settings: Settings, record: PetRecord) -> str:
    """What to say of an image that changed under a pet. The pet stays what it is."""
    source = settings.img_source
    if source is None or record.source.names(source):
        return ""
    return (
        f"IMG_SOURCE is {Address.of(source).shown} now; the pet {record.name} stays on its own "
        f"base, made of {record.source.shown}"
        + ("" if record.source.shown != Address.of(source).shown else " with other credentials")
    )


def _source(settings: Settings) -> Address:
    return Address.of(settings.img_source or settings.img_target)


def _sectors(size: int | None) -> int | None:
    """`size` rounded up to whole sectors, which is what qemu-img makes of it."""
    return None if size is None else -(-size // SECTOR) * SECTOR


def _both(size: int) -> str:
    """Exact and readable: sizes that differ by a byte look the same when rounded."""
    return f"{size} bytes ({shown_size(size)})"
