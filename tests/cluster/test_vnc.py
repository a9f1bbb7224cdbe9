"""The screen at a pod's port 5900: with the password in the Secret, without one, or not at all."""

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from socket import create_connection

import pytest

from tests.boot.rfb import NO_AUTHENTICATION, VNC_AUTHENTICATION, RefusedError, Viewer
from tests.cluster import namespaces
from tests.cluster.conftest import Web
from tests.cluster.release import Defaults, Release, install
from tests.cluster.target import Target
from tests.cluster.test_access import forwarded
from tests.cluster.test_install import printed

PORT = 5900
PATIENCE = 30.0


@contextmanager
def viewing(address: str, password: bytes | None = None, port: int = PORT) -> Iterator[Viewer]:
    with closing(create_connection((address, port), PATIENCE)) as end:
        yield Viewer(end, password)


@pytest.fixture(scope="module")
def password(web: Web) -> bytes:
    """By the command that Helm prints."""
    return subprocess.run(
        ["bash", "-ec", printed(web.said, "password")],
        env=web.release.namespace.target.environment,
        capture_output=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def vms(cluster: Target, defaults: Defaults) -> Iterator[Release]:
    with namespaces.namespace(cluster) as namespace:
        several = {"open": {"vnc": {"open": True}}, "none": {"vnc": {"enabled": False}}}
        yield install(defaults, "screen", {"vms": several}, namespace)


def test_the_password_opens_it(web: Web, password: bytes) -> None:
    assert len(password) == 8
    with viewing(web.client.address, password) as viewer:
        assert viewer.offered == {VNC_AUTHENTICATION}
        assert viewer.screen.name == "QEMU (web-0)"


def test_another_password_does_not(web: Web, password: bytes) -> None:
    other = bytes([password[0] ^ 1]) + password[1:]
    with pytest.raises(RefusedError), viewing(web.client.address, other):
        pass


def test_by_port_forward_it_asks_as_well(web: Web, password: bytes) -> None:
    with forwarded(web, PORT) as port, viewing("127.0.0.1", password, port) as viewer:
        assert viewer.offered == {VNC_AUTHENTICATION}


def test_an_upgrade_keeps_the_password(web: Web, password: bytes) -> None:
    web.release.helm("upgrade", "--reuse-values")
    secret = web.release.exec("cat", "/run/secrets/vnc/password")
    kept = subprocess.run(
        ["bash", "-ec", printed(web.said, "password")],
        env=web.release.namespace.target.environment,
        capture_output=True,
        check=True,
    ).stdout
    assert kept == password == secret.encode()


def test_open_to_all_by_the_word(vms: Release) -> None:
    vms.wait_for_log("screen-open-0 is running", "screen-open-0")
    with viewing(vms.address("screen-open-0")) as viewer:
        assert viewer.offered == {NO_AUTHENTICATION}


def test_without_a_screen_the_port_is_the_vms(vms: Release) -> None:
    client = vms.wait_for_ssh("screen-none-0")
    client.run("(echo the VM itself | nc -l -p 5900) >/dev/null 2>&1 &")
    client.run("until netstat -ltn | grep -q ':5900 '; do usleep 20000; done")
    with create_connection((client.address, PORT), PATIENCE) as end:
        assert end.recv(100) == b"the VM itself\n"


def test_no_secret_is_made_for_those(vms: Release) -> None:
    names = [each["metadata"]["name"] for each in vms.get("secrets")["items"]]
    assert not [name for name in names if name.endswith("-vnc")]
