"""Three ways to start the same guest in the same kind of pod, told apart by nothing but themselves.

Each makes a fresh pod, has its base and its pet already, and says when QEMU's monitor answered and
when the guest began to run, in seconds since it was started.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.pods.output import Output
from tests.pods.shapes import Site, site
from tests.pods.ssh import Client, Key
from tests.pods.vm import COMMANDS

YARDSTICK = Path(__file__).with_name("yardstick.sh")
# Seconds; more than enough for the slowest of them on a busy machine.
PATIENCE = 120.0
# How closely a socket that is not there yet is watched. Seconds.
GRAIN = 0.001

MEMORY = 256


@dataclass
class Marks:
    """Seconds since the start; `ssh` is None where it was not waited for."""

    qmp: float
    running: float
    ssh: float | None = None


@dataclass
class Contender:
    """`folder` has the volumes, which all contenders share but for the pet's."""

    folder: Path
    key: Key
    image: Path
    name: str = ""
    pet: str = field(init=False)

    def __post_init__(self) -> None:
        self.pet = f"{self.name}-0"
        for name in ("shared", "pet", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        userdata = f"#cloud-config\nssh_authorized_keys:\n  - {self.key.public}\n"
        (self.folder / "userdata").write_text(userdata)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "SHARED_DIR": str(self.folder / "shared"),
            "PET_DIR": str(self.folder / "pet"),
            "RUN_DIR": str(self.folder / "run"),
            "IMG_TARGET": "base.qcow2",
            "VM_NAME": self.pet,
            "USERDATA_FILE": str(self.folder / "userdata"),
        }

    def measure(self, *, to_ssh: bool) -> Marks:
        """Start it in a pod of its own, read the clock, and end it."""
        with site("plain") as place:
            self.before(place)
            with self.started(place) as marks:
                if to_ssh:
                    begun = time.monotonic() - marks.running
                    known = self.folder / "known_hosts"
                    Client(place.client, place.pod_ip, self.key, known).wait()
                    marks.ssh = time.monotonic() - begun
            self.after(place)
        return marks

    def before(self, place: Site) -> None:
        """What does not count."""

    def after(self, place: Site) -> None:
        """End what does not end with the program itself."""

    @contextlib.contextmanager
    def started(self, place: Site) -> Iterator[Marks]:
        raise NotImplementedError

    def enter(self, place: Site) -> list[str]:
        return ["ip", "netns", "exec", place.pod.name]


class Startvm(Contender):
    """Ours, asked to log what it does: the monitor has been negotiated with when it says so."""

    @property
    def environment(self) -> dict[str, str]:
        ours = {
            "IMG_SOURCE": str(self.image),
            "VM_MEMORY": f"{MEMORY}M",
            "ACCEL": "tcg",
            "LOG_LEVEL": "debug",
        }
        return super().environment | ours

    @contextlib.contextmanager
    def started(self, place: Site) -> Iterator[Marks]:
        log = Output()
        begun = time.monotonic()
        process = subprocess.Popen(
            [*self.enter(place), str(COMMANDS / "startvm")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log.fd,
            env=self.environment,
        )
        os.close(log.fd)
        try:
            log.wait_for("the monitor answers", PATIENCE)
            qmp = time.monotonic() - begun
            log.wait_for(rf"{re.escape(self.pet)} is running", PATIENCE)
            yield Marks(qmp, time.monotonic() - begun)
        finally:
            # QEMU and dnsmasq go with it, the rest with the pod.
            process.kill()
            process.wait()
            log.wait_for_end()


class Shell(Contender):
    """Forty lines of shell that do the same, once everything goes well."""

    arguments: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"VM_MEMORY": str(MEMORY)}

    @property
    def monitor(self) -> Path:
        return self.folder / "run" / "qmp.sock"

    @contextlib.contextmanager
    def started(self, place: Site) -> Iterator[Marks]:
        self.monitor.unlink(missing_ok=True)
        begun = time.monotonic()
        process = subprocess.Popen(
            [*self.enter(place), str(YARDSTICK), *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=self.environment,
        )
        try:
            with self.connected(process) as monitor:
                monitor.readline()
                qmp = time.monotonic() - begun
                self.await_running(monitor)
                yield Marks(qmp, time.monotonic() - begun)
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def connected(self, process: "subprocess.Popen[bytes]") -> Iterator[socket.SocketIO]:
        deadline = time.monotonic() + PATIENCE
        with socket.socket(socket.AF_UNIX) as end:
            while True:
                try:
                    end.connect(str(self.monitor))
                    break
                except OSError:
                    assert process.poll() is None, "the shell script ended"
                    assert time.monotonic() < deadline, "no monitor"
                    time.sleep(GRAIN)
            with end.makefile("rwb", buffering=0) as file:
                yield file

    def await_running(self, monitor: socket.SocketIO) -> None:
        monitor.write(b'{"execute": "qmp_capabilities"}\n')
        monitor.readline()
        while True:
            monitor.write(b'{"execute": "query-status"}\n')
            answer = json.loads(monitor.readline())
            if "return" in answer and answer["return"]["running"]:
                return

    def after(self, place: Site) -> None:
        pid = self.folder / "run" / "dnsmasq.pid"
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int(pid.read_text()), 15)
            pid.unlink()


class BareQemu(Shell):
    """QEMU alone, everything around it made ready beforehand: what nobody can be faster than."""

    arguments = ("qemu",)

    def before(self, place: Site) -> None:
        argv = [*self.enter(place), str(YARDSTICK), "prepare"]
        subprocess.run(argv, env=self.environment, check=True, stdout=subprocess.DEVNULL)
