"""Where the screen is shown, and the password's way to QEMU."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from launcher.access import vnc
from launcher.host.errors import InputMissing, SettingsError
from launcher.machine.devices import Vnc

POD = IPv4Address("10.1.2.3")


def test_screen_is_on_the_pods_address_and_on_loopback_only(tmp_path: Path) -> None:
    # On the bridge the guest could look at, and type to, its own firmware.
    assert vnc.server(POD, None, tmp_path) == Vnc((POD, IPv4Address("127.0.0.1")), None)


def test_password_is_read_from_a_copy(tmp_path: Path) -> None:
    # The secret's own file may be readable to root only, and has the line's end in it.
    found = vnc.server(POD, Path("/secret/vnc"), tmp_path)
    assert found.password_file == vnc.password_path(tmp_path) != Path("/secret/vnc")


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b" two words \n", b" two words "),
        ("schlüssel\n".encode(), "schlüssel".encode()),
    ],
)
def test_password(tmp_path: Path, content: bytes, password: bytes) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    assert vnc.read_password(file) == password


def test_no_password() -> None:
    assert vnc.read_password(None) is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n\r\n", "is empty"),
        (b"\0", "is not a text"),
        (b"sec\0ret", "is not a text"),
        (b"\xff\xfe", "is not a text"),
    ],
)
def test_password_that_would_open_the_screen_to_all(
    tmp_path: Path, content: bytes, what: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        vnc.read_password(file)
    assert caught.value.problems == (
        f"VNC_PASSWORD_FILE='{file}' {what}; accepted: a file with a password",
    )


def test_password_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"VNC_PASSWORD_FILE=.*No such file or directory"):
        vnc.read_password(tmp_path / "missing")
    with pytest.raises(InputMissing, match="Is a directory"):
        vnc.read_password(tmp_path)
