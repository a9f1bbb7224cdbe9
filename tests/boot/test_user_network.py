"""QEMU's own network stack, and with it no right at all: an ordinary user without a capability."""

import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.boot.terminal import attached
from tests.boot.test_users import assert_nobody_special, status
from tests.pods.container import QEMU_ID, QEMU_USER, Rights
from tests.pods.namespaces import Namespace
from tests.pods.run import Run
from tests.pods.shapes import Site
from tests.pods.ssh import Client
from tests.pods.traffic import TCP, UDP, answering
from tests.pods.vm import Pod
from tests.storage.http_server import Reply, Server

SSH, DNS = 2222, 5353
HOSTFWD = f"hostfwd=tcp::{SSH}-:22,udp::{DNS}-:53"


@pytest.fixture
def restricted(idle: Pod) -> Pod:
    """A pod as Pod Security `restricted` has it: runAsUser and fsGroup 107, `drop: [ALL]`, a
    read-only root; its volumes are root's, for that group."""
    idle.rights = Rights(capabilities=(), uid=QEMU_ID, read_only=True)
    idle.open = True
    idle.settings |= {"QEMU_USER": QEMU_USER, "NETWORK": "user", "HOSTFWD": HOSTFWD}
    idle.run_dir.mkdir()
    for name in ("shared", "pet", "run"):
        os.chown(idle.folder / name, 0, QEMU_ID)
        (idle.folder / name).chmod(0o2775)
    return idle


def client(pod: Pod) -> Client:
    return dataclasses.replace(pod.client, port=SSH)


def boot(pod: Pod) -> Run:
    run = pod.start()
    pod.wait_for_ssh(run, client=client(pod))
    return run


def guest(pod: Pod, command: str) -> str:
    return client(pod).run(command).decode().removesuffix("\n")


@contextmanager
def resolving(site: Site, name: str, address: str) -> Iterator[None]:
    """A name server at the client's address, which the pod is told of."""
    argv = [
        "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--pid-file=",
        f"--listen-address={site.client_ip}", "--bind-interfaces", f"--address=/{name}/{address}",
    ]  # fmt: skip
    site.pod.resolv_conf(f"nameserver {site.client_ip}\nsearch svc.test test\n")
    running = subprocess.Popen(["ip", "netns", "exec", site.client.name, *argv])
    try:
        yield
    finally:
        running.terminate()
        running.wait()


def test_a_pod_without_a_single_right(restricted: Pod, server: Server) -> None:
    site = restricted.site
    with resolving(site, "web.svc.test", site.client_ip):
        run = boot(restricted)
        assert_nobody_special(run.qemu)
        assert_it_has_no_capability(run)
        assert restricted.berth("status").stdout == "running\n"
        lease = dict(
            each.split("=", 1) for each in shlex.split(guest(restricted, "cat /run/lease"))
        )
        wanted = {
            "ip": "192.168.254.2",
            "mask": "29",
            "router": "192.168.254.1",
            "dns": "192.168.254.3",
            "domain": "svc.test",
            "search": "svc.test test",
            "hostname": "web-3",
        }
        assert {name: lease.get(name) for name in wanted} == wanted
        assert guest(restricted, "hostname") == "web-3"
        # Out, by a name that only the pod's server knows.
        url = server.serve("/file", Reply(b"from outside"))
        url = url.replace(site.client_ip, "web")
        assert guest(restricted, f"wget -qO- {url}") == "from outside"
        with answering(site.client, TCP, 443):
            reply = json.loads(guest(restricted, f"nc {site.client_ip} 443"))
        assert reply == {"who": "client", "saw": site.pod_ip}
        # In, by UDP; and the screen is the pod's.
        guest(restricted, "(echo heard | nc.openbsd -u -l -w 60 -p 53) >/dev/null 2>&1 &")
        assert answered(site.client, site.pod_ip, DNS) == b"heard\n"
        assert greeting(site.client, site.pod_ip, 5900) == b"RFB "
        assert greeting(site.pod, "127.0.0.1", SSH) == b"SSH-"
        with attached(restricted) as person:
            person.wait_for(rb"attached to the console")
        run.console.wait_for("^tiny login ready")
        end_of_it = run.stop()
    assert end_of_it.status == 0, end_of_it.log
    assert "the guest agent shuts the guest down" in end_of_it.log
    # The next start finds its pet.
    boot(restricted)


def assert_it_has_no_capability(run: Run) -> None:
    """startvm itself, of which QEMU is a child."""
    parent = int(status(run.qemu)["PPid"][0])
    found = status(parent)
    assert found["Uid"] == [str(QEMU_ID)] * 4
    assert (int(found["CapEff"][0], 16), int(found["CapBnd"][0], 16)) == (0, 0)


def answered(space: Namespace, address: str, port: int) -> bytes:
    """What a UDP server answers, which may still be on its way up."""
    with space.socket(UDP) as end:
        end.settimeout(0.2)
        for _ in range(150):
            end.sendto(b"hello", (address, port))
            with contextlib.suppress(TimeoutError):
                return end.recv(100)
    raise AssertionError(f"nothing answers at {address}:{port}")


def greeting(space: Namespace, address: str, port: int) -> bytes:
    with space.socket(TCP) as end:
        end.connect((address, port))
        return end.recv(4)


def test_a_port_that_is_reserved_is_named(restricted: Pod) -> None:
    end = restricted.start(HOSTFWD="tcp::22-:22").wait()
    assert end.status == 77
    assert (
        "HOSTFWD='tcp::22-:22': uid 107 may not listen on port 22; ports below 1024 are reserved "
        "here (hint: set the pod's sysctl net.ipv4.ip_unprivileged_port_start to 0" in end.log
    )
    assert list((restricted.folder / "shared").iterdir()) == []
    restricted.site.pod.sysctl(ipv4__ip_unprivileged_port_start=0)
    run = restricted.start(HOSTFWD="tcp::22-:22")
    restricted.wait_for_ssh(run)


def test_a_port_or_an_address_that_is_taken_is_named(restricted: Pod) -> None:
    with answering(restricted.site.pod, TCP, SSH):
        end = restricted.start().wait()
    assert (end.status, f"another program of the pod listens on tcp port {SSH}" in end.log) == (
        75,
        True,
    )
    end = restricted.start(HOSTFWD=f"tcp:192.0.2.1:{SSH}-:22").wait()
    assert (end.status, "the pod has no address 192.0.2.1" in end.log) == (78, True)


@pytest.mark.parametrize(
    ("folder", "setting"), [("run", "RUN_DIR"), ("pet", "PET_DIR"), ("shared", "SHARED_DIR")]
)
def test_a_volume_that_is_somebody_elses_is_named(
    restricted: Pod, folder: str, setting: str
) -> None:
    path = restricted.folder / folder
    os.chown(path, 0, 0)
    end = restricted.start().wait()
    assert end.status == 77, end.log
    assert f"{setting}='{path}' may not be written to" in end.log
    assert "it belongs to 0:0 with mode 2775, and this is uid 107 in groups 107" in end.log
    assert "fsGroup" in end.log


def test_the_plan_says_so(restricted: Pod) -> None:
    password = restricted.folder / "password"
    password.write_text("confidential")
    restricted.settings["VNC_PASSWORD_FILE"] = str(password)
    told = json.loads(restricted.berth("plan", "--json").stdout)
    written = {str(restricted.run_dir / "vnc-password"): f"(the password in {password})"}
    assert written.items() <= told["files"].items()
    assert "confidential" not in json.dumps(told)
    # It is that user already.
    assert told["user"] == ""
    assert told["network"] == (
        f"{restricted.site.pod_ip} leads to the VM by tcp/{SSH} (its 22), udp/{DNS} (its 53)"
    )
    assert (told["links"], told["nat"], told["dnsmasq"]) == ([], "", [])
    (netdev,) = [each for each in told["qemu"] if each.startswith("user,")]
    assert f"hostfwd=tcp::{SSH}-:22,hostfwd=udp::{DNS}-:53" in netdev
    text = restricted.berth("plan").stdout
    assert "# links" not in text
    assert "address translation" not in text


def test_root_may_have_it_too(idle: Pod) -> None:
    """With QEMU's own user below it, which has no port of root's."""
    idle.open = True
    idle.rights = Rights(("setuid", "setgid", "chown", "net_bind_service"))
    idle.settings |= {"QEMU_USER": QEMU_USER, "NETWORK": "user"}
    end = idle.start(HOSTFWD="tcp::22-:22").wait()
    assert (end.status, "qemu (uid 107) may not listen on port 22" in end.log) == (77, True)
    idle.settings["HOSTFWD"] = HOSTFWD
    told = json.loads(idle.berth("plan", "--json").stdout)
    assert told["user"] == "qemu: uid 107, gid 107, further groups: none"
    assert_nobody_special(boot(idle).qemu)
