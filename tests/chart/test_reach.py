"""`helm test`'s own program, against real sockets."""

import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import run

import pytest

from tests.chart.helm import CHART, KEY, NEWEST

PROGRAM = CHART / "files/reach.py"


@contextmanager
def server(said: bytes) -> Iterator[int]:
    """The port of a server that says one thing and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def reach(*targets: str, seconds: int = 1) -> tuple[int, str]:
    done = run(
        [sys.executable, PROGRAM, str(seconds), *targets],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_greeting() -> None:
    with server(b"SSH-2.0-dropbear\r\n") as port:
        assert reach(f"127.0.0.1:{port}:SSH-") == (0, f"127.0.0.1:{port}: SSH-2.0-dropbear\n")


def test_port_without_a_greeting() -> None:
    with server(b"") as port:
        assert reach(f"127.0.0.1:{port}:")[0] == 0


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n", b"SS", b""])
def test_another_greeting(said: bytes) -> None:
    with server(said) as port, server(b"RFB 003.008\n") as other:
        status, text = reach(f"127.0.0.1:{port}:SSH-", f"127.0.0.1:{other}:RFB ")
    assert status == 1
    assert f"it said {said!r} and not b'SSH-'" in text
    assert f"127.0.0.1:{other}: RFB 003.008" in text


def test_nobody_there() -> None:
    status, text = reach("127.0.0.1:1:SSH-")
    assert status == 1
    assert "Connection refused" in text
    assert "given up; what the VM says: kubectl logs 127" in text


def test_nothing_to_reach_is_no_success() -> None:
    status, text = reach()
    assert status == 1
    assert text.startswith("there is nothing to reach: ")


def targets(values: Mapping[str, object]) -> list[str]:
    container = NEWEST.template({"sshKey": KEY, **values}).one("Pod")["spec"]["containers"][0]
    assert container["args"][0] == PROGRAM.read_text("utf-8")
    given: list[str] = container["args"][2:]
    return given


def test_targets() -> None:
    assert targets({"replicas": 2, "testPort": 80}) == [
        "web-0.web:80:",
        "web-0.web:5900:RFB ",
        "web-1.web:80:",
        "web-1.web:5900:RFB ",
    ]
    vms = {"a": {"vnc": {"enabled": False}}, "b": {"testPort": 0}}
    assert targets({"vms": vms}) == ["web-a-0.web-a:22:SSH-", "web-b-0.web-b:5900:RFB "]


def test_targets_are_what_the_network_policy_lets_in() -> None:
    policy = {"networkPolicy": {"enabled": True}}
    assert targets(policy) == ["web-0.web:22:SSH-"]
    service = {"service": {"ports": {"http": 80, "dns": {"port": 53, "protocol": "UDP"}}}}
    assert targets({**policy, **service, "testPort": 80}) == ["web-0.web:80:"]
    assert targets({**policy, **service, "testPort": 53}) == []
    forwarded = {"network": {"mode": "user", "hostfwd": ["tcp::2200-:22"]}}
    assert targets({**policy, **forwarded}) == ["web-0.web:2200:SSH-"]
    # Whom rules of the user's own let in is not known.
    own = {"networkPolicy": {"enabled": True, "ingress": [{"from": [{"podSelector": {}}]}]}}
    assert targets(own) == []
