"""The screen, by VNC on TCP 5900."""

from ipaddress import IPv4Address
from pathlib import Path

from launcher.host.errors import InputMissing, SettingsError
from launcher.machine.devices import Vnc

# Loopback is what `kubectl port-forward` connects to.
LOOPBACK = IPv4Address("127.0.0.1")


def server(pod_address: IPv4Address, password_file: Path | None, run_dir: Path) -> Vnc:
    """The VNC server's facts. It listens on the pod's address and on loopback, and nowhere else:
    not on the bridge, where the guest could reach its own screen."""
    secret = password_path(run_dir) if password_file else None
    return Vnc((pod_address, LOOPBACK), secret)


def password_path(run_dir: Path) -> Path:
    return run_dir / "vnc-password"


def read_password(password_file: Path | None) -> bytes | None:
    """The password in `password_file` without the line's end, which editors and `echo` leave.
    None where there is no such file to read.

    :raise InputMissing: when the file is not there.
    :raise SettingsError: when it is empty, or to QEMU, whose strings end at the first NUL. It
        would take that for "any password will do".
    """
    if password_file is None:
        return None
    try:
        password = password_file.read_bytes().rstrip(b"\r\n")
    except OSError as err:
        raise InputMissing(
            f"VNC_PASSWORD_FILE={str(password_file)!r} cannot be read: {err.strerror}"
        ) from err
    if not password or b"\0" in password or not _is_text(password):
        what = "is not a text" if password else "is empty"
        raise SettingsError(
            [f"VNC_PASSWORD_FILE={str(password_file)!r} {what}; accepted: a file with a password"]
        )
    return password


def _is_text(password: bytes) -> bool:
    try:
        password.decode()
    except UnicodeDecodeError:
        return False
    return True
