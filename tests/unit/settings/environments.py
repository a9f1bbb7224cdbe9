"""Environments for the tests of the settings."""

from launcher.host.container import Container
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings

HERE = Surroundings(Container(hostname="pet-0"))

# Nothing but the one setting that has no default.
LEAST = {"IMG_SOURCE": "https://example.org/disk.qcow2"}


def settings(around: Surroundings = HERE, /, **environ: str) -> Settings:
    """The settings of an environment that sets `environ` besides what is needed."""
    return load({**LEAST, **environ}, around)
