"""What is in the image, what is not, and how big it is."""

from pathlib import Path

import pytest

import launcher
from tests.conftest import Golden, Measured
from tests.containers import contents
from tests.containers.contents import Contents

MB = 10**6
# What it may grow to, in bytes: with a reason, and no further than that takes.
MOST_UNPACKED = 225 * MB
MOST_PACKED = 74 * MB

SHELLS = (b"sh", b"bash", b"dash")
# Header of a .pyc that is taken as it is, whatever became of its source (PEP 552).
UNCHECKED_HASH = 0b01
BYTECODE = ("/opt/berth/lib", "/usr/lib/python3")


def test_size(archive: Path, measured: Measured) -> None:
    layers = contents.sizes(archive)
    unpacked, packed = sum(each.size for each in layers), sum(each.packed for each in layers)
    sizes = " + ".join(f"{each.size / MB:.1f}" for each in layers)
    measured(f"image: {packed / MB:.1f} MB packed, {unpacked / MB:.1f} MB unpacked ({sizes})")
    assert unpacked <= MOST_UNPACKED
    assert packed <= MOST_PACKED


def test_packages(archive: Path, inside: Contents, golden: Golden) -> None:
    status = inside.text(archive, "/var/lib/dpkg/status")
    names = sorted(line.split()[1] for line in status.splitlines() if line.startswith("Package: "))
    golden("image/packages.txt", "\n".join([*names, ""]))


@pytest.mark.parametrize(
    "path",
    [
        # Drivers by which an image could make QEMU talk to other machines.
        "/usr/lib/x86_64-linux-gnu/qemu/block-curl.so",
        "/usr/lib/x86_64-linux-gnu/qemu/block-ssh.so",
        # Compilers and what installs packages of Python.
        "/usr/bin/gcc",
        "/usr/bin/pip3",
        "/opt/berth/lib/python3.13/site-packages/pip",
        # What was mounted while it was built.
        "/etc/pip.conf",
        "/etc/pip-certificates.pem",
    ],
)
def test_not_there(path: str, inside: Contents) -> None:
    assert path not in inside.files


def test_nothing_is_left_of_building(inside: Contents) -> None:
    litter = ("/build/", "/root/", "/tmp/", "/var/cache/apt/pkgcache", "/var/lib/apt/lists/")
    assert [path for path in inside.files if path.startswith(litter) and not is_of_base(path)] == []


def is_of_base(path: str) -> bool:
    return path in {"/root/.bashrc", "/root/.profile"} or path.endswith(("/partial", "/lock"))


def test_shell_scripts_are_debians(archive: Path, inside: Contents) -> None:
    """Ours is Python alone."""
    ours = [path for path in shell_scripts(inside) if path.startswith(("/opt/", "/usr/local/"))]
    assert ours == []


def shell_scripts(inside: Contents) -> list[str]:
    found = []
    for path, file in inside.files.items():
        first = file.start.partition(b"\n")[0]
        if first.startswith(b"#!") and first.split()[-1].rpartition(b"/")[2] in SHELLS:
            found.append(path)
    assert "/usr/bin/ldd" in found, "the search finds nothing"
    return found


def test_bytecode_of_everything(inside: Contents) -> None:
    sources = [path for path in inside.files if is_module(path)]
    assert len(sources) > 500
    missing, checked = [], []
    for path in sources:
        source = Path(path)
        compiled = inside.files.get(f"{source.parent}/__pycache__/{source.stem}.cpython-313.pyc")
        if compiled is None:
            missing.append(path)
        elif int.from_bytes(compiled.start[4:8], "little") != UNCHECKED_HASH:
            checked.append(path)
    assert missing == []
    assert checked == []


def is_module(path: str) -> bool:
    return path.endswith(".py") and path.startswith(BYTECODE)


def test_launcher_is_whole(sources: Path, inside: Contents) -> None:
    here = sources / "launcher"
    ours = {str(path.relative_to(here)) for path in here.rglob("*.py")}
    assert len(ours) > 50
    folder = "/opt/berth/lib/python3.13/site-packages/launcher/"
    theirs = {path.removeprefix(folder) for path in inside.files if path.startswith(folder)}
    assert ours - theirs == set()


def test_user_of_qemu(archive: Path, inside: Contents) -> None:
    assert "qemu:x:107:107::/:/usr/sbin/nologin" in inside.text(archive, "/etc/passwd").split("\n")
    assert "qemu:x:107:" in inside.text(archive, "/etc/group").split("\n")


def test_configuration(inside: Contents) -> None:
    configuration = inside.configuration["config"]
    assert configuration["Entrypoint"] == ["tini", "--", "startvm"]
    assert "QEMU_USER=qemu" in configuration["Env"]
    assert configuration["ExposedPorts"] == {"5900/tcp": {}}
    assert configuration["StopSignal"] == "SIGTERM"
    # The chart says who it is; and see the Dockerfile on volumes.
    assert not configuration.get("User")
    assert not configuration.get("Volumes")
    assert not configuration.get("Cmd")


def test_labels(inside: Contents) -> None:
    labels = inside.configuration["config"]["Labels"]
    prefix = "org.opencontainers.image."
    given = {
        name.removeprefix(prefix): text for name, text in labels.items() if name.startswith(prefix)
    }
    assert given == {
        "title": "Berth",
        "description": "Runs any virtual machine as an ordinary Kubernetes pod",
        "version": launcher.__version__,
        "revision": "",
        "source": "",
        "licenses": "Apache-2.0",
    }
