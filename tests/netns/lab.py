"""A pod, its VM and a client in namespaces of their own, joined in one of two shapes.

::

    plain     client ──────────── pod ── tap0 │ VM       one /24, the client is the gateway
    calico    client ──── node ── pod ── tap0 │ VM       a /32, gateway 169.254.1.1 by proxy ARP

The VM is a namespace behind a veth pair whose end in the pod has the tap's name.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.netns.namespaces import Namespace, namespaces
from tests.netns.podnet import MAC

Shape = Literal["plain", "calico"]

REPOSITORY = Path(__file__).parents[2]
VM_IP, VM_GW = "192.168.254.2", "192.168.254.1"
MTU = 1450


@dataclass
class Podnet:
    """The program under test, running in the pod."""

    process: "subprocess.Popen[str]"
    report: dict[str, Any]

    def stop(self) -> int:
        """Let it take everything down. Returns its exit status."""
        self.process.communicate()
        return self.process.returncode

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@dataclass
class Lab:
    client: Namespace
    pod: Namespace
    vm: Namespace
    client_ip: str
    pod_ip: str
    uplink: str
    scratch: Path
    running: list[Podnet] = field(default_factory=list)

    def resolv_conf(self, text: str) -> None:
        """What the pod finds in /etc/resolv.conf (`ip netns exec` puts it there)."""
        path = Path("/etc/netns") / self.pod.name / "resolv.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def spawn(
        self, environment: Mapping[str, str] = {}, wrapper: tuple[str, ...] = ()
    ) -> "subprocess.Popen[str]":
        """Start the program under test. `wrapper` is a command that it becomes the end of."""
        return subprocess.Popen(
            [
                *("ip", "netns", "exec", self.pod.name, *wrapper),
                *(sys.executable, "-m", "tests.netns.podnet"),
            ],
            cwd=REPOSITORY,
            env={
                "PATH": os.environ["PATH"],
                "IMG_TARGET": "unused",
                "RUN_DIR": str(self.scratch / "run"),
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, environment: Mapping[str, str] = {}, wrapper: tuple[str, ...] = ()) -> Podnet:
        """Start it, and wait until everything is in force."""
        process = self.spawn(environment, wrapper)
        assert process.stdout
        line = process.stdout.readline()
        if not line:
            _, words = process.communicate()
            raise AssertionError(f"podnet ended with status {process.returncode}:\n{words}")
        podnet = Podnet(process, json.loads(line))
        self.running.append(podnet)
        return podnet

    def fail(self, environment: Mapping[str, str] = {}, wrapper: tuple[str, ...] = ()) -> str:
        """Start it where it must not succeed. Returns what it said."""
        process = self.spawn(environment, wrapper)
        out, words = process.communicate()
        assert not out, "it succeeded"
        assert process.returncode > 0, words
        return words

    def boot(self, tries: int = 5) -> dict[str, str]:
        """Let the VM take its address from DHCP. Returns its lease, in udhcpc's names."""
        answer = self.scratch / "lease"
        script = self.scratch / "on-lease"
        script.write_text(f'#!/bin/sh\n[ "$1" = bound ] && env > {answer} || true\n')
        script.chmod(0o755)
        wanted = [f"-O{name}" for name in ("mtu", "search", "domain", "hostname", "dns")]
        self.vm.run(
            *("env", "-i", "busybox", "udhcpc", "-i", "eth0", "-s", str(script), "-n", "-q", "-f"),
            *("-t", str(tries), "-T", "1", *wanted),
        )
        lines = answer.read_text(encoding="utf-8").splitlines()
        lease = dict(line.split("=", 1) for line in lines)
        self.configure_vm(lease["ip"], lease["mask"], lease["router"], int(lease["mtu"]))
        return lease

    def configure_vm(
        self, ip: str = VM_IP, prefix: str = "30", router: str = VM_GW, mtu: int = MTU
    ) -> None:
        self.vm.ip(
            f"""address flush dev eth0
                link set eth0 mtu {mtu}
                address add {ip}/{prefix} dev eth0
                route add default via {router}"""
        )


@contextmanager
def lab(shape: Shape, scratch: Path) -> Iterator[Lab]:
    """Make the namespaces and links of one shape; nothing of it is left afterwards."""
    with namespaces("client", "node", "pod", "vm") as (client, node, pod, vm):
        pod.ip(
            f"""link add tap0 type veth peer name eth0 netns {vm.name}
                link set tap0 address 06:00:00:00:00:99"""
        )
        vm.ip(f"link set eth0 address {MAC} up")
        made = (_plain if shape == "plain" else _calico)(client, node, pod, vm, scratch)
        made.resolv_conf("nameserver 10.96.0.10\nsearch default.svc.cluster.local cluster.local\n")
        try:
            yield made
        finally:
            for each in made.running:
                if each.process.poll() is None:
                    each.kill()


def _plain(client: Namespace, node: Namespace, pod: Namespace, vm: Namespace, path: Path) -> Lab:
    """Not called eth0, since nothing promises that name."""
    pod.ip(
        f"""link add ens5 mtu {MTU} type veth peer name pod0 mtu {MTU} netns {client.name}
            link set ens5 up
            address add 10.66.0.2/24 dev ens5"""
    )
    client.ip(
        """link set pod0 up
           address add 10.66.0.1/24 dev pod0"""
    )
    pod.ip("route add default via 10.66.0.1")
    return Lab(client, pod, vm, "10.66.0.1", "10.66.0.2", "ens5", path)


def _calico(client: Namespace, node: Namespace, pod: Namespace, vm: Namespace, path: Path) -> Lab:
    client.ip(
        f"""link add uplink type veth peer name clients netns {node.name}
            link set uplink up
            address add 198.51.100.2/24 dev uplink"""
    )
    node.ip(
        f"""link set clients up
            address add 198.51.100.1/24 dev clients
            route add default via 198.51.100.2
            link add cali0 type veth peer name eth0 netns {pod.name}
            link set cali0 address ee:ee:ee:ee:ee:ee mtu {MTU} up
            route add 10.65.7.9/32 dev cali0 scope link"""
    )
    node.sysctl(
        ipv4__ip_forward=1, ipv4__conf__cali0__proxy_arp=1, ipv4__neigh__cali0__proxy_delay=0
    )
    pod.ip(
        f"""link set eth0 mtu {MTU} up
            address add 10.65.7.9/32 dev eth0
            route add 169.254.1.1 dev eth0 scope link
            route add default via 169.254.1.1 dev eth0"""
    )
    client.ip("route add 10.65.7.9/32 via 198.51.100.1")
    return Lab(client, pod, vm, "198.51.100.2", "10.65.7.9", "eth0", path)
