"""How sources are shown and named; above all, that their credentials are not shown."""

import pytest

from launcher.settings.source import redact, target_of


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("https://example.org/a/disk.qcow2", "https://example.org/a/disk.qcow2"),
        ("http://[2001:db8::1]:8080/d", "http://[2001:db8::1]:8080/d"),
        ("https://me:secret@example.org/d", "https://example.org/d"),
        ("https://me:sec@ret@example.org:8443/d", "https://example.org:8443/d"),
        ("https://secret@example.org/d", "https://example.org/d"),
        ("https://example.org/d?token=secret", "https://example.org/d?…"),
        ("https://example.org/?token=secret", "https://example.org/?…"),
        ("https://example.org/d#secret", "https://example.org/d?…"),
        ("https://example.org", "https://example.org"),
        ("/images/me@home?.qcow2", "/images/me@home?.qcow2"),
        ("sha256:0123", "sha256:0123"),
        ("disk.qcow2", "disk.qcow2"),
    ],
)
def test_shown(source: str, shown: str) -> None:
    assert redact(source) == shown


@pytest.mark.parametrize(
    "source",
    [
        "https://me:sec/ret@example.org/d",
        "https://me:sec?ret@example.org/d",
        "https://me:sec#ret@example.org/d",
        "https://me:12/sec@example.org/d",
        "https://me:a@sec/ret@example.org/d",
        "https://me/sec@example.org/d",
        "ftp://me:sec@example.org/d",
        "HTTPS://me:sec@example.org/d",
        "https//me:sec@example.org/d",
        "me:sec@example.org/d",
        "https://example.org:x/d?sec",
        "https://me:sec@[/d",
    ],
)
def test_no_part_of_a_secret_is_shown(source: str) -> None:
    assert "sec" not in redact(source)
    assert "ret" not in redact(source)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("https://example.org/a/disk.qcow2", "disk.qcow2"),
        ("https://example.org/disk.qcow2?token=x/y", "disk.qcow2"),
        ("https://example.org/disk.qcow2/", "disk.qcow2"),
        ("https://example.org/my%20disk.qcow2", "my_20disk.qcow2"),
        ("https://example.org/?file=disk.qcow2", ""),
        ("https://example.org/..", ""),
        ("https://example.org/.hidden", "hidden"),
        ("https://example.org/" + "a" * 300, "a" * 200),
        ("/images/my disk?.qcow2", "my_disk_.qcow2"),
        ("/..", ""),
        ("", ""),
    ],
)
def test_name_of_the_base(source: str, target: str) -> None:
    assert target_of(source) == target
