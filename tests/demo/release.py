"""The demo's release: installed by Helm as anybody would install it, and waited for."""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path

from tests.cluster.kubernetes.cluster import Cluster
from tests.demo.place import POD, RELEASE, VALUES, Place
from tests.guests import tiny

CHART = Path(__file__).parents[2] / "chart"
# Seconds. Emulated on a slow machine a boot takes a while.
BOOT_PATIENCE = 300.0


def write_values(place: Place, cluster: Cluster) -> None:
    """A key pair, and values by which it logs in to a guest that the cluster serves."""
    if not place.key.exists():
        generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "berth-demo", "-f"]
        subprocess.run([*generate, place.key], check=True)
    guest = tiny.image()
    with guest.open("rb") as file:
        checksum = file_digest(file, "sha256").hexdigest()
    values = VALUES.format(
        key=place.key.with_suffix(".pub").read_text().strip(),
        source=cluster.publish(guest, "tiny.qcow2"),
        checksum=f"sha256:{checksum}",
    )
    place.values.write_text(values)


def install_command(place: Place) -> list[str]:
    return ["helm", "install", RELEASE, str(CHART), "--values", str(place.values)]


def install(place: Place, environment: Mapping[str, str]) -> None:
    """:raise SystemExit: when Helm refuses, which has said why."""
    done = subprocess.run(install_command(place), env=environment, stdout=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(done.returncode)


def remove(environment: Mapping[str, str]) -> None:
    """Remove the release with its claims, if it is there."""
    ours = f"--selector=app.kubernetes.io/name=berth,app.kubernetes.io/instance={RELEASE}"
    for command in (
        ["helm", "uninstall", RELEASE, "--ignore-not-found", "--wait"],
        ["kubectl", "delete", "pvc", ours],
    ):
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


def is_installed(environment: Mapping[str, str]) -> bool:
    status = ["helm", "status", RELEASE]
    return subprocess.run(status, env=environment, capture_output=True).returncode == 0


def address(environment: Mapping[str, str]) -> str:
    """The pod's, empty before it has one."""
    get = ["kubectl", "get", "pod", POD, "--ignore-not-found", "-o", "jsonpath={.status.podIP}"]
    return subprocess.run(get, env=environment, capture_output=True, text=True).stdout


def wait_for_ssh(environment: Mapping[str, str]) -> str:
    """The pod's address, once the VM behind it serves ssh.

    :raise SystemExit: when it does not, with what the pod says of itself.
    """
    deadline = time.monotonic() + BOOT_PATIENCE
    while not ((found := address(environment)) and serves_ssh(found)):
        if time.monotonic() > deadline:
            for command in (["describe", "pod", POD], ["logs", POD]):
                subprocess.run(["kubectl", *command], env=environment, stdout=sys.stderr)
            sys.exit(f"no ssh to {POD} after {BOOT_PATIENCE:g} s")
        time.sleep(0.05)
    return found


def serves_ssh(host: str) -> bool:
    with socket.socket() as attempt:
        attempt.settimeout(1.0)
        try:
            attempt.connect((host, 22))
            return attempt.recv(4) == b"SSH-"
        except OSError:
            return False
