"""The settings of this container, for both commands."""

import os

from launcher.host import accelerator, container
from launcher.settings.load import Surroundings, load
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
