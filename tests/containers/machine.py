"""How this machine reaches packages: proxies, mirrors, certificates; lent to a build.

Nothing of it is in the Dockerfile and nothing stays in the image: files are mounted while commands
run. (Proxies in the environment, `https_proxy` and so on, podman passes on by itself.)
"""

import configparser
import os
import shutil
from pathlib import Path

from tests.guests.commands import run

# Where a build finds them.
_PIP = "/etc/pip.conf"
_CERTIFICATES = "/etc/pip-certificates.pem"
# A file that the base has. Mounting over one that is not there leaves an empty one behind.
_APT = "/etc/apt/apt.conf.d/01autoremove"

_PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
_PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "cert")
_ALL_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def pip(folder: Path) -> list[str]:
    """Options of `podman build` that lend it pip's settings; they are written to `folder`."""
    options = _pip_options()
    mounts = {}
    if certificates := options.get("cert"):
        mounts[_CERTIFICATES] = Path(certificates)
        options["cert"] = _CERTIFICATES
    if options:
        lines = ["[global]", *(f"{name} = {value}" for name, value in options.items())]
        mounts[_PIP] = _written(folder / "pip.conf", lines)
    return _volumes(mounts)


def apt(folder: Path) -> list[str]:
    """The same for apt's proxies, and whether it minds how old an archive's lists are."""
    if not shutil.which("apt-config"):
        return []
    wanted = ("Acquire::http", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
    dumped = run("apt-config", "dump", "--no-empty", *wanted).splitlines()
    lines = [line for line in dumped if "::Proxy" in line or "::Check-" in line]
    # A program that finds the proxy is here, not there.
    lines = [line for line in lines if "Auto-Detect" not in line]
    return _volumes({_APT: _written(folder / "apt.conf", lines)} if lines else {})


def _pip_options() -> dict[str, str]:
    files = configparser.ConfigParser(interpolation=None)
    files.read(Path(name).expanduser() for name in _PIP_FILES)
    found: dict[str, str] = {}
    for name in _PIP_OPTIONS:
        written = files.get("global", name, fallback="")
        # The environment counts more.
        if value := os.environ.get(f"PIP_{name.replace('-', '_').upper()}", written):
            found[name] = value
    for variable in _ALL_CERTIFICATES:
        if path := os.environ.get(variable):
            found.setdefault("cert", path)
    # pip's settings may have several lines.
    return {name: value.replace("\n", "\n    ") for name, value in found.items()}


def _volumes(mounts: dict[str, Path]) -> list[str]:
    return [f"--volume={path}:{target}:ro" for target, path in mounts.items()]


def _written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path
