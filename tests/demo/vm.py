"""The demo's pod and its VM: made, found, ended."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.demo.place import (
    HOST_ADDRESS,
    INTERFACE,
    NAMESPACE,
    POD_ADDRESS,
    PREFIX,
    Place,
)

COMMANDS = Path(sys.executable).parent
# Seconds. Emulated on a slow machine it takes a while; stopping has STOP_TIMEOUT's 30 at most.
BOOT_PATIENCE, END_PATIENCE = 300.0, 60.0

POD = f"""\
link add {INTERFACE} type veth peer name eth0 netns {NAMESPACE}
address add {HOST_ADDRESS}/{PREFIX} dev {INTERFACE}
link set {INTERFACE} up
"""
INSIDE = f"""\
link set lo up
link set eth0 up
address add {POD_ADDRESS}/{PREFIX} dev eth0
route add default via {HOST_ADDRESS}
"""


def run(*argv: str | Path, stdin: str | None = None) -> None:
    subprocess.run(argv, input=stdin, text=True, check=True)


def make_pod(place: Place) -> None:
    """A namespace with the one interface and the default route that a CNI plugin would give."""
    run("ip", "netns", "add", NAMESPACE)
    run("ip", "-batch", "-", stdin=POD)
    run("ip", "-netns", NAMESPACE, "-batch", "-", stdin=INSIDE)
    place.resolv_conf.parent.mkdir(parents=True, exist_ok=True)
    place.resolv_conf.write_text("nameserver 10.96.0.10\nsearch default.svc.cluster.local\n")


def remove_pod(place: Place) -> None:
    """Its links go with it, the one on this side of it included."""
    subprocess.run(["ip", "netns", "delete", NAMESPACE], stderr=subprocess.DEVNULL)
    place.resolv_conf.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        place.resolv_conf.parent.rmdir()


def make_files(place: Place) -> None:
    """Volumes, a key pair, and user-data that lets the key in."""
    for name in ("shared", "pet"):
        (place.folder / name).mkdir(parents=True, exist_ok=True)
    if not place.key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "berth-demo", "-f", place.key)
    public = place.key.with_suffix(".pub").read_text().strip()
    userdata = f"#cloud-config\nssh_authorized_keys:\n  - {public}\n"
    (place.folder / "userdata").write_text(userdata)


def start(place: Place, image: Path) -> float:
    """Start the VM, which then goes on without us. Returns the seconds until it serves ssh.

    :raise SystemExit: when it ends instead, with what it said.
    """
    begun = time.monotonic()
    with place.console.open("wb") as console, place.log.open("wb") as log:
        process = subprocess.Popen(
            ["ip", "netns", "exec", NAMESPACE, COMMANDS / "startvm"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=log,
            env=place.environment(image),
            start_new_session=True,
        )
    place.pid.write_text(f"{process.pid}\n")
    while not serves_ssh():
        if process.poll() is not None:
            sys.exit(f"startvm ended with status {process.returncode}:\n{place.log.read_text()}")
        if time.monotonic() - begun > BOOT_PATIENCE:
            sys.exit(f"no ssh after {BOOT_PATIENCE:g} s; {place.console} has what the VM said")
        time.sleep(0.05)
    return time.monotonic() - begun


def serves_ssh() -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(1.0)
        try:
            attempt.connect((POD_ADDRESS, 22))
            return attempt.recv(4) == b"SSH-"
        except OSError:
            return False


def running(place: Place) -> int | None:
    """The process id of the demo's startvm, None if it does not run."""
    try:
        pid = int(place.pid.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Numbers are used again: a process that is not ours is not ours to end.
    return pid if str(COMMANDS / "startvm").encode() in command else None


def stop(place: Place) -> None:
    """Let the guest shut down, as a pod that is deleted does."""
    pid = running(place)
    if pid is None:
        return
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], END_PATIENCE)[0]:
            sys.exit(f"startvm (process {pid}) does not end; {place.log} has what it said")
    finally:
        os.close(process)


def remove_files(place: Place) -> None:
    shutil.rmtree(place.folder, ignore_errors=True)


def berth(place: Place, *arguments: str) -> int:
    """Run `berth` in the demo's pod; returns its exit status."""
    argv = ["ip", "netns", "exec", NAMESPACE, str(COMMANDS / "berth"), *arguments]
    return subprocess.run(argv, env=place.environment(Path("/"))).returncode


def shown(argv: list[str]) -> str:
    """A command to copy, its options on lines of their own below the demo's other lines."""
    lines = [argv[:3], *(argv[at : at + 2] for at in range(3, len(argv), 2))]
    return " \\\n              ".join(shlex.join(line) for line in lines)
