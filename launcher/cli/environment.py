"""The settings of this container, for both commands."""

import os
from pathlib import Path

from launcher.disk.place import Place
from launcher.host import accelerator, account, container
from launcher.host.account import Account
from launcher.settings.load import Surroundings, load, load_one
from launcher.settings.table import Settings


def settings() -> Settings:
    """Read the environment.

    :raise SettingsError: with all that is wrong in it.
    """
    around = Surroundings(
        container=container.read(),
        emulated=accelerator.choose("auto").accelerator == "tcg",
        legacy_mount=container.mounts_only_image(),
    )
    return load(os.environ, around)


def run_dir() -> Path:
    """Where a VM that runs here is to be found, whatever the other settings are by now.

    :raise SettingsError: when RUN_DIR is wrong.
    """
    found: Path = load_one(os.environ, "run_dir")
    return found


def shared_dir() -> Path:
    """The shared volume of this container, whatever the other settings are.

    :raise SettingsError: when SHARED_DIR is wrong.
    """
    found: Path = load_one(os.environ, "shared_dir")
    if not os.environ.get("SHARED_DIR", "").strip() and container.mounts_only_image():
        return Path("/image")
    return found


def idle_pet(settings: Settings) -> tuple[Place, Account | None]:
    """The pet of a VM that is off, with all done to its disk that was still to be done, and the
    account that QEMU's tools run as.

    :raise Busy: when it is in use elsewhere.
    :raise LauncherError: when there is none, or it is not whole.
    """
    from launcher.disk import former, leftover, whole

    place, user = caught_up(settings)
    former.settle(place)
    leftover.remove(place)
    whole.look(place, settings.shared_dir)
    return place, user


def caught_up(settings: Settings) -> tuple[Place, Account | None]:
    """The same without a look at the disk, which may be damaged or gone.

    :raise Busy: when it is in use elsewhere.
    :raise LauncherError: when what was still to be done cannot be.
    """
    from launcher.disk import holder
    from launcher.life import pending

    place, user = Place(settings.pet_dir, settings.vm_name), account.find(settings.qemu_user)
    holder.refuse_second(place)
    pending.finish(settings, user)
    return place, user
