"""Which place may see what a netrc file has for its host."""

from pathlib import Path

import pytest

from launcher.image.source.logins import Logins, origin


@pytest.mark.parametrize(
    ("home", "place", "found"),
    [
        ("http://a/x", "http://a/y", "of-a"),
        ("http://a/x", "https://a/y", "of-a"),
        ("http://a/x", "https://a:8443/y", None),
        ("http://a:8080/x", "https://a/y", None),
        ("http://a/x", "http://a:8080/y", None),
        ("https://a/x", "https://a:443/y", "of-a"),
        ("https://a/x", "https://A:8443/y", None),
        ("https://a/x", "http://a/y", None),
        ("https://a/x", "http://b/y", None),
        ("https://a/x", "https://b:8443/y", "of-b"),
        ("https://a/x", "https://c/y", None),
        ("https://c/x", "https://c/y", "of-all"),
        ("https://c/x", "https://c:8443/y", None),
    ],
)
def test_who_is_told(tmp_path: Path, home: str, place: str, found: str | None) -> None:
    path = tmp_path / "netrc"
    path.write_text(
        "machine a login of-a password x\nmachine b login of-b password x\n"
        "default login of-all password x\n"
    )
    logins = Logins(path, origin(home), origin(home))
    login = logins.of(origin(place))
    assert (login and login[0]) == found


@pytest.mark.parametrize("text", [None, "no such words"])
def test_one_that_no_setting_names_may_be_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "netrc"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("NETRC", str(path))
    home = origin("https://a/x")
    assert Logins(None, home, home).of(home) is None
