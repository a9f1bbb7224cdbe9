"""What metadata may say, in whose spelling, and what it means."""

from typing import Any

import pytest

from launcher.seed.metadata import launch_index, problems, public_keys, wanted_uuid

UUID = "093772fe-d6a3-4eea-84bc-5966661a0c3e"


@pytest.mark.parametrize(
    ("given", "uuid"),
    [
        ({}, None),
        ({"uuid": ""}, None),
        ({"uuid": None}, None),
        ({"uuid": UUID}, UUID),
        ({"uuid": UUID.upper()}, UUID),
        # Not a UUID, so a name: version 5, for ever the same.
        ({"uuid": "apache-demo.example.com"}, "8b3ca2e0-2589-5617-b691-846bfd3cb2ff"),
        ({"instance-id": "my-instance-id"}, None),
    ],
)
def test_wanted_uuid(given: dict[str, Any], uuid: str | None) -> None:
    assert wanted_uuid(given) == uuid


@pytest.mark.parametrize(
    ("name", "given", "index"),
    [
        ("web-3", {}, 3),
        ("web-0", {}, 0),
        ("my-web-12", {}, 12),
        ("web", {}, 0),
        ("web3", {}, 0),
        ("web-3-a", {}, 0),
        ("web-6d4cf56db6-x2x4z", {}, 0),
        ("web-3.example.org", {}, 3),
        ("web.example-7", {}, 0),
        ("web-99999999999999999999", {}, 0),
        ("web-3", {"launch_index": 5}, 5),
        ("web-3", {"launch-index": "123"}, 123),
        ("web-3", {"launch-index": 0}, 0),
        ("web-3", {"launch-index": ""}, 3),
    ],
)
def test_launch_index(name: str, given: dict[str, Any], index: int) -> None:
    assert launch_index(given, name) == index


A, B, C = (f"ssh-ed25519 AAAA{letter} user@host" for letter in "ABC")


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (None, {}),
        ("", {}),
        ([], {}),
        ({}, {}),
        (A, {"key": A}),
        (f"{A}\n", {"key": A}),
        (f"# mine\n{A}\n\n  {B}\n", {"key-0": A, "key-1": B}),
        ([A], {"key": A}),
        ([A, B], {"key-0": A, "key-1": B}),
        ({"me": A, "you": B}, {"me": A, "you": B}),
        ({"me": f"{A}\n"}, {"me": A}),
        ({"me": [A, B], "you": C}, {"me-0": A, "me-1": B, "you": C}),
        ({"0": {"openssh-key": A}, "1": {"openssh-key": B}}, {"0": A, "1": B}),
        ({"me": [A, B], "me-0": C}, {"me-0": A, "me-1": B, "me-0+": C}),
    ],
)
@pytest.mark.parametrize("spelling", ["public_keys", "public-keys"])
def test_public_keys(value: Any, keys: dict[str, str], spelling: str) -> None:
    assert not list(problems({spelling: value}))
    assert public_keys({spelling: value}) == keys


@pytest.mark.parametrize("value", [3, True, [3], [[A]], {"me": 3}, {"me": {"ssh": [3]}, "x": [1]}])
def test_public_keys_of_no_known_shape(value: Any) -> None:
    (problem,) = problems({"public-keys": value})
    assert problem.startswith("public-keys is not understood; accepted: an SSH public key")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"hostname": ["a"]}, 'hostname is ["a"]; accepted: text'),
        ({"local-hostname": {}}, "local-hostname is {}; accepted: text"),
        ({"uuid": True}, "uuid is true; accepted: text"),
        ({"instance-id": [1]}, "instance-id is [1]; accepted: text"),
        ({"name": False}, "name is false; accepted: text"),
        ({"availability-zone": []}, "availability-zone is []; accepted: text"),
        ({"launch-index": "first"}, 'launch-index is "first"; accepted: a whole number'),
        ({"launch_index": -1}, "launch_index is -1; accepted: a whole number"),
        ({"launch_index": 1.5}, "launch_index is 1.5; accepted: a whole number"),
        ({"launch_index": [1]}, "launch_index is [1]; accepted: a whole number"),
        ({"launch_index": True}, "launch_index is true; accepted: a whole number"),
        (
            {"files": [{"path": "/etc/motd", "content_path": "/content/0000"}]},
            "files names further",
        ),
        ({"network_config": {"content_path": "x"}}, "network_config names further"),
        ({"meta": "x"}, "meta is not a mapping"),
        ({"meta": None}, "meta is not a mapping"),
        ({"random_seed": "no base64"}, "random_seed is not understood"),
        ({"random_seed": 7}, "random_seed is not understood"),
    ],
)
def test_problem(given: dict[str, Any], problem: str) -> None:
    (found,) = problems(given)
    assert found.startswith(problem)


def test_all_problems_are_found() -> None:
    assert len(list(problems({"hostname": [], "meta": 1, "launch_index": "x"}))) == 3


def test_everything_else_is_the_users_own() -> None:
    given: dict[str, Any] = {
        "uuid": "any text",
        "name": 7,
        "hostname": 1.5,
        "instance-id": None,
        "launch-index": "7",
        "files": [],
        "network_config": None,
        "meta": {"dsmode": "local"},
        "random_seed": "aGVsbG8=",
        "anything": [{"else": None}],
    }
    assert not list(problems(given))
