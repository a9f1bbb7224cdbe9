"""Files and folders the user's data is read from, and every complaint about them."""

import json
import os
from pathlib import Path

import pytest

from launcher.host.container import Container
from launcher.host.errors import InputMissing, SettingsError, StorageError
from launcher.seed import inputs
from launcher.seed.inputs import MAX_METADATA, MAX_USERDATA, Inputs
from launcher.settings.load import Surroundings, load

IGNITION = json.dumps({"ignition": {"version": "3.4.0"}}).encode()


@pytest.fixture(autouse=True)
def defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default paths, moved to where a test may make them."""
    monkeypatch.setitem(inputs.DEFAULTS, "userdata_file", tmp_path / "userdata")
    monkeypatch.setitem(inputs.DEFAULTS, "metadata_file", tmp_path / "metadata")


def read(tmp_path: Path, **paths: Path) -> Inputs:
    given = {"USERDATA_FILE": tmp_path / "userdata", "METADATA_FILE": tmp_path / "metadata"} | paths
    if "CLOUD_CONFIG_FILE" in given:
        del given["USERDATA_FILE"]
    environ = {"IMG_TARGET": "base.qcow2"} | {name: str(path) for name, path in given.items()}
    return inputs.read(load(environ, Surroundings(Container(hostname="web-3"))))


def test_nothing_is_fine(tmp_path: Path) -> None:
    assert read(tmp_path) == Inputs(None, {}, None)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "userdata").write_bytes(b"\xff\x00")
    (tmp_path / "metadata").write_bytes(b"hostname: a\nuuid: 093772FE-d6a3-4eea-84bc-5966661a0c3e")
    found = read(tmp_path)
    assert found.userdata == b"\xff\x00"
    assert found.metadata["hostname"] == "a"
    assert found.wanted_uuid == "093772fe-d6a3-4eea-84bc-5966661a0c3e"


def test_mounted_config_map_is_a_folder_with_links(tmp_path: Path) -> None:
    folder = tmp_path / "userdata"
    (folder / "..2026").mkdir(parents=True)
    (folder / "..2026/userdata").write_bytes(b"x")
    (folder / "..data").symlink_to("..2026")
    (folder / "userdata").symlink_to("..data/userdata")
    assert read(tmp_path).userdata == b"x"


def test_empty_mount_of_an_optional_config_map(tmp_path: Path) -> None:
    (tmp_path / "userdata/..data").mkdir(parents=True)
    (tmp_path / "metadata").mkdir()
    assert read(tmp_path) == Inputs(None, {}, None)


def test_folder_without_the_file_is_told_with_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "userdata").mkdir()
    (tmp_path / "userdata/user-data").touch()
    with pytest.raises(
        InputMissing, match=r"USERDATA_FILE=.* without 'userdata' .*holds user-data"
    ):
        read(tmp_path)


def test_every_named_file_that_is_missing_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing) as error:
        read(
            tmp_path,
            USERDATA_FILE=tmp_path / "a",
            METADATA_FILE=tmp_path / "b",
            IGNITION_CONFIG_FILE=tmp_path / "empty",
        )
    for words in (
        f"USERDATA_FILE='{tmp_path}/a' is not there",
        f"METADATA_FILE='{tmp_path}/b' is not there",
        f"IGNITION_CONFIG_FILE='{tmp_path}/empty' is a folder without 'empty'",
    ):
        assert words in str(error.value)
    assert error.value.exit_code == os.EX_NOINPUT


def test_cloud_config_takes_the_place_of_userdata(tmp_path: Path) -> None:
    (tmp_path / "userdata").write_bytes(b"old")
    (tmp_path / "cloud").write_bytes(b"#cloud-config\n")
    assert read(tmp_path, CLOUD_CONFIG_FILE=tmp_path / "cloud").userdata == b"#cloud-config\n"


def test_ignition_is_passed_on_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config").write_bytes(IGNITION)
    found = read(tmp_path, IGNITION_CONFIG_FILE=tmp_path / "config").ignition
    assert found == IGNITION


@pytest.mark.parametrize(
    ("setting", "text", "words"),
    [
        ("METADATA_FILE", b"a: 1\na: 2", "line 2 has the key 'a'"),
        ("METADATA_FILE", b"- a", "it is not a mapping"),
        ("METADATA_FILE", b"word", "it is not a mapping"),
        ("METADATA_FILE", b"hostname: [a]", 'hostname is ["a"]; accepted: text'),
        ("METADATA_FILE", b"#" * (MAX_METADATA + 1), "is too large; accepted: 256 KiB"),
        ("USERDATA_FILE", b"#" * (MAX_USERDATA + 1), "is too large; accepted: 1024 KiB"),
        ("CLOUD_CONFIG_FILE", b"#" * (MAX_USERDATA + 1), "is too large"),
        ("IGNITION_CONFIG_FILE", b" " * (256 * 1024 + 1), "is too large; accepted: 256 KiB"),
        ("IGNITION_CONFIG_FILE", b"variant: fcos\nversion: 1.5.0\n", "not JSON"),
        ("IGNITION_CONFIG_FILE", b"[]", "no ignition.version"),
    ],
)
def test_problem_names_setting_value_and_what_is_accepted(
    setting: str, text: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(text)
    with pytest.raises(SettingsError) as error:
        read(tmp_path, **{setting: path})
    (problem,) = error.value.problems
    assert problem.startswith(f"{setting}={str(path)!r}")
    assert words in problem
    assert "accepted: " in problem


def test_largest_files(tmp_path: Path) -> None:
    (tmp_path / "userdata").write_bytes(b"#" * MAX_USERDATA)
    (tmp_path / "metadata").write_bytes(b"#" * MAX_METADATA)
    found = read(tmp_path)
    assert found.userdata is not None
    assert len(found.userdata) == MAX_USERDATA


def test_all_problems_at_once(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_bytes(b"meta: 1\nname: []")
    (tmp_path / "ignition").write_bytes(b"{}")
    with pytest.raises(SettingsError) as error:
        read(tmp_path, IGNITION_CONFIG_FILE=tmp_path / "ignition")
    assert len(error.value.problems) == 3


def test_empty_metadata(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_bytes(b"# nothing yet\n")
    assert read(tmp_path).metadata == {}


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "userdata/userdata").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"USERDATA_FILE=.* cannot be read: Is a directory"):
        read(tmp_path)
