"""A pod and its client, as in tests.pods.shapes, with a VM that is a namespace, too.

::

    client ──── ... ──── pod ── tap0 │ VM

It is behind a veth pair whose end in the pod has the tap's name.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.netns.podnet import MAC
from tests.pods.namespaces import Namespace, namespaces, run
from tests.pods.shapes import MTU, Shape, site

REPOSITORY = Path(__file__).parents[2]
VM_IP, VM_GW = "192.168.254.2", "192.168.254.1"


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
    scratch: Path
    running: list[Podnet] = field(default_factory=list)

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

    def processes(self) -> list[int]:
        """What runs in the pod."""
        return [int(pid) for pid in run("ip", "netns", "pids", self.pod.name).split()]

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
    with site(shape) as around, namespaces("vm") as (vm,):
        around.pod.ip(
            f"""link add tap0 type veth peer name eth0 netns {vm.name}
                link set tap0 address 06:00:00:00:00:99"""
        )
        vm.ip(f"link set eth0 address {MAC} up")
        made = Lab(
            client=around.client,
            pod=around.pod,
            vm=vm,
            client_ip=around.client_ip,
            pod_ip=around.pod_ip,
            scratch=scratch,
        )
        try:
            yield made
        finally:
            for each in made.running:
                if each.process.poll() is None:
                    each.kill()
            # What should have ended with it, so that a failed test leaves nothing behind.
            for pid in made.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
