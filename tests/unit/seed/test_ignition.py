"""Only what Ignition would read at all is handed to it."""

import pytest

from launcher.seed.ignition import FW_CFG_NAMES, problem


@pytest.mark.parametrize("version", ["2.3.0", "3.4.0"])
def test_config_of_any_version(version: str) -> None:
    assert problem(f'{{"ignition": {{"version": "{version}"}}, "storage": {{}}}}'.encode()) == ""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"#cloud-config\n", "not JSON"),
        (b"variant: fcos\nversion: 1.5.0\n", "butane makes from YAML"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"[]", "no ignition.version"),
        (b"{}", "no ignition.version"),
        (b'{"ignition": "3.4.0"}', "no ignition.version"),
        (b'{"ignition": {}}', "no ignition.version"),
        (b'{"ignition": {"version": 3}}', "no ignition.version"),
    ],
)
def test_what_is_none(data: bytes, words: str) -> None:
    assert words in problem(data)
    assert "accepted: " in problem(data)


def test_both_distributions_find_it() -> None:
    assert FW_CFG_NAMES == ("opt/com.coreos/config", "opt/org.flatcar-linux/config")
