"""The screen on TCP 5900, by a real viewer's handshake."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.boot.conftest import Up
from tests.boot.rfb import NO_AUTHENTICATION, VNC_AUTHENTICATION, RefusedError, Viewer
from tests.pods.namespaces import Namespace
from tests.pods.vm import Pod


@contextmanager
def viewing(space: Namespace, address: str, password: bytes | None = None) -> Iterator[Viewer]:
    with closing(space.socket(socket.SOCK_STREAM)) as end:
        end.connect((address, 5900))
        yield Viewer(end, password)


def test_the_screen_is_at_the_pods_address(up: Up) -> None:
    site = up.pod.site
    with viewing(site.client, site.pod_ip) as viewer:
        assert viewer.offered == {NO_AUTHENTICATION}
        assert viewer.screen.name == "QEMU (web-3)"


def test_port_forward_finds_it_on_loopback(up: Up) -> None:
    with viewing(up.pod.site.pod, "127.0.0.1") as viewer:
        assert viewer.screen.name == "QEMU (web-3)"


def test_it_shows_what_the_guest_writes(up: Up) -> None:
    site = up.pod.site
    up.ssh(r"printf '\033[2J\033[?25l' >/dev/tty1")
    with viewing(site.client, site.pod_ip) as viewer:
        empty = viewer.picture()
        up.ssh("echo a line on the screen >/dev/tty1")
        written = viewer.picture()
    assert len(empty) == viewer.screen.width * viewer.screen.height * 4
    assert empty != written


@pytest.mark.parametrize("line_end", ["", "\n"], ids=["bare", "with a line's end"])
def test_a_password_is_asked_for(idle: Pod, line_end: str) -> None:
    secret = idle.folder / "vnc"
    secret.write_text(f"sesame{line_end}", encoding="utf-8")
    run = idle.start(VNC_PASSWORD_FILE=str(secret))
    run.log.wait_for("is running$")
    site = idle.site
    with viewing(site.client, site.pod_ip, b"sesame") as viewer:
        assert viewer.offered == {VNC_AUTHENTICATION}
    with pytest.raises(RefusedError), viewing(site.client, site.pod_ip, b"sesamf"):
        pass
    with pytest.raises(RefusedError), viewing(site.pod, "127.0.0.1", b""):
        pass
    processes = [Path("/proc", str(pid)) for pid in (run.qemu, run.process.pid)]
    seen = [(each / name).read_text() for each in processes for name in ("cmdline", "environ")]
    assert "sesame" not in "\n".join([run.log.text, *seen])
    assert (idle.run_dir / "vnc-password").stat().st_mode & 0o777 == 0o600


def test_without_a_server_the_port_is_the_guests(idle: Pod) -> None:
    idle.boot(NO_VNC="1")
    idle.ssh("(echo the guest itself | nc -l -p 5900) >/dev/null 2>&1 &")
    idle.ssh("until netstat -ltn | grep -q ':5900 '; do usleep 20000; done")
    with idle.site.client.socket(socket.SOCK_STREAM) as end:
        end.connect((idle.site.pod_ip, 5900))
        assert end.recv(100) == b"the guest itself\n"
    listening = idle.site.pod.run("ss", "-ltnH")
    assert ":5900 " not in listening
