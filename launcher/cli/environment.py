"""The settings of this container, for both commands."""

import os
from pathlib import Path

from launcher.host import accelerator, container
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
