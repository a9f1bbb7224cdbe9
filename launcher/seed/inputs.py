"""Read what the user gave for the guest, and check all of it before anything is made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from launcher.host.errors import InputMissing, RightMissing, SettingsError, StorageError
from launcher.seed import ignition, metadata, yaml_text
from launcher.seed.yaml_text import Json
from launcher.settings.table import Settings, rows

# What a ConfigMap or a Secret can hold altogether (kubernetes: MaxSecretSize). Neither the drive
# nor cloud-init knows a limit.
MAX_USERDATA = 1024 * 1024
# What a YAML parser written in Python reads within a second.
MAX_METADATA = 256 * 1024

DEFAULTS = {field: row.default for field, row in rows().items()}


class Inputs(NamedTuple):
    """`userdata`: the bytes as they are, None if there are none. `metadata`: checked, empty if
    there is none. `ignition`: the bytes as they are, None if there are none."""

    userdata: bytes | None
    metadata: Mapping[str, Json]
    ignition: bytes | None

    @property
    def wanted_uuid(self) -> str | None:
        """The UUID that the metadata chooses for the VM, if it does."""
        return metadata.wanted_uuid(self.metadata)


def read(settings: Settings) -> Inputs:
    """Read CLOUD_CONFIG_FILE or else USERDATA_FILE, METADATA_FILE and IGNITION_CONFIG_FILE.

    :raise InputMissing: naming every file that was promised and is not there.
    :raise SettingsError: naming every problem of their contents.
    :raise StorageError: for a file that cannot be read; RightMissing if we may not.
    """
    files = _Files()
    if settings.cloud_config_file:
        userdata = files.read("CLOUD_CONFIG_FILE", settings.cloud_config_file, MAX_USERDATA)
    else:
        userdata = files.read("USERDATA_FILE", settings.userdata_file, MAX_USERDATA)
    given = files.read("METADATA_FILE", settings.metadata_file, MAX_METADATA)
    values = _values(given, files.problems) if given else {}
    config = None
    if settings.ignition_config_file:
        config = files.read(
            "IGNITION_CONFIG_FILE", settings.ignition_config_file, ignition.MAX_SIZE
        )
        if config and (problem := ignition.problem(config.data)):
            files.problems.append(f"{config.named}: {problem}")
    if files.missing:
        raise InputMissing("; ".join(files.missing))
    if files.problems:
        raise SettingsError(files.problems)
    return Inputs(userdata.data if userdata else None, values, config.data if config else None)


def _values(given: "_File", problems: list[str]) -> Mapping[str, Json]:
    try:
        values = yaml_text.parse(given.data)
    except yaml_text.NotAcceptedError as err:
        problems.append(f"{given.named}: {err}; accepted: one mapping, in YAML or JSON")
        return {}
    if values is None:
        return {}
    if not isinstance(values, dict):
        problems.append(f"{given.named}: it is not a mapping; accepted: names with values")
        return {}
    problems += [f"{given.named}: {problem}" for problem in metadata.problems(values)]
    return values


class _File(NamedTuple):
    """`named`: the setting and its value, as messages begin."""

    named: str
    data: bytes


class _Files:
    """Reads files, and collects what is wrong with them in finished sentences."""

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.problems: list[str] = []

    def read(self, setting: str, path: Path, limit: int) -> _File | None:
        """The file at `path`, or of the same name in the folder `path`; None if there is none.

        :param limit: bytes it may have.
        """
        named = f"{setting}={str(path)!r}"
        needed = DEFAULTS[setting.lower()] != path
        try:
            inner = self._locate(named, path, needed)
            if not inner:
                return None
            with inner.open("rb") as file:
                data = file.read(limit + 1)
        except PermissionError as err:
            raise RightMissing(f"{named} may not be read: {err.strerror}") from err
        except OSError as err:
            raise StorageError(f"{named} cannot be read: {err.strerror}") from err
        if len(data) > limit:
            self.problems.append(f"{named} is too large; accepted: {limit // 1024} KiB or less")
            return None
        return _File(named, data)

    def _locate(self, named: str, path: Path, needed: bool) -> Path | None:
        """A ConfigMap or Secret that is mounted whole is a folder with a file for each key."""
        if not path.exists():
            if needed:
                self.missing.append(f"{named} is not there")
            return None
        if not path.is_dir():
            return path
        inner = path / path.name
        if inner.exists():
            return inner
        # An optional ConfigMap that does not exist is mounted as an empty folder.
        others = sorted(each.name for each in path.iterdir() if not each.name.startswith("."))
        if needed or others:
            holds = ", ".join(others[:8]) or "nothing"
            self.missing.append(
                f"{named} is a folder without {path.name!r} in it (it holds {holds})"
            )
        return None
