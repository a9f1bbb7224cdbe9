"""Everything a start depends on, read and checked before anything is done."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from launcher.access import vnc
from launcher.disk import extra, pet, plan, request
from launcher.disk.extra import ExtraDisk
from launcher.disk.place import Place
from launcher.disk.plan import PetPlan
from launcher.disk.request import Request
from launcher.host import accelerator, access, account
from launcher.host.accelerator import KVM, Choice
from launcher.host.account import Account
from launcher.host.errors import SettingsError
from launcher.image.base import Base
from launcher.image.store import bases
from launcher.net import network, pod
from launcher.net.network import Network
from launcher.seed import inputs
from launcher.seed.inputs import Inputs
from launcher.settings.table import Settings

T = TypeVar("T")


class Facts(NamedTuple):
    """`arguments`: the user's own for QEMU. `vnc_password`: None where none is asked for.
    `account`: the user that QEMU runs as; None for our own.

    `pet` is what would be done about the pet; without its base for a pet that is new and whose
    image has not been fetched. `asked`: what is to be done to its disk before all that.
    """

    settings: Settings
    arguments: tuple[str, ...]
    account: Account | None
    accelerator: Choice
    inputs: Inputs
    vnc_password: bytes | None
    disks: tuple[ExtraDisk, ...]
    pet: PetPlan
    asked: Request | None
    network: Network

    @property
    def notices(self) -> tuple[str, ...]:
        """What is worth knowing, in finished sentences."""
        asked = (f"the next start is told to {self.asked} first",) if self.asked else ()
        return (*asked, *self.pet.notices, *self.network.notices)

    def with_base(self, base: Base) -> PetPlan:
        """The plan for the pet, now that its base is there.

        :raise SettingsError: when the base is larger than VM_DISK_SIZE.
        """
        return plan.plan(
            self.settings,
            self.pet.found,
            base,
            wanted_uuid=self.inputs.wanted_uuid,
            draw=lambda: self.pet.uuid,
        )


def look(settings: Settings, arguments: tuple[str, ...]) -> Facts:
    """Read all that there is, and change nothing.

    :raise SettingsError: with the problems of all inputs at once.
    :raise LauncherError: of the kind that fits, for what is no setting's fault.
    """
    problems: list[str] = []

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except SettingsError as err:
            problems.extend(err.problems)
            return None

    choice = accelerator.choose(settings.accel)
    user = checked(lambda: account.find(settings.qemu_user))
    given = checked(lambda: inputs.read(settings))
    password = checked(lambda: vnc.read_password(settings.vnc_password_file))
    place = Place(settings.pet_dir, settings.vm_name)
    found, asked = pet.find(place), request.load(place)
    if found.record:
        base = bases.load(settings.shared_dir, found.record.base_digest)
    else:
        base = bases.find(settings)
    wanted = given.wanted_uuid if given else None
    planned = checked(lambda: plan.plan(settings, found, base, wanted_uuid=wanted))
    found_network = pod.read()
    mac = planned.mac if planned else ""
    laid_out = checked(lambda: network.make(settings, found_network, mac)) if planned else None
    if problems or not given or not planned or not laid_out:
        raise SettingsError(problems)
    disks = extra.find(settings.volumes_dir, settings.disks_dir)
    if user:
        devices = [each.path for each in disks if each.is_block]
        devices += [KVM] if choice.accelerator == "kvm" else []
        user = user.joining(access.groups_of(user, devices))
    return Facts(
        settings=settings,
        arguments=arguments,
        account=user,
        accelerator=choice,
        inputs=given,
        vnc_password=password,
        disks=disks,
        pet=planned,
        asked=asked,
        network=laid_out,
    )
