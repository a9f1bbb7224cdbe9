"""Namespaces that enforce a Pod Security Standard: what comes up in them, and what is said of the
rest."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.cluster import namespaces
from tests.cluster.namespaces import Namespace
from tests.cluster.release import CHART, Defaults, Release, Values, install, wait_until
from tests.cluster.target import Target

QEMU_ID = "107"
PORT = 8080
RESTRICTED: Values = {
    "securityLevel": "restricted",
    "service": {"ports": {"web": {"port": 80, "targetPort": PORT}}},
}
# The capabilities that are left are those that baseline allows.
BASELINE: Values = {"network": {"mode": "user"}}


class Vm(NamedTuple):
    """A release, and what Helm said of it."""

    release: Release
    said: str

    def processes(self) -> list[dict[str, str]]:
        """The fields of /proc/PID/status, of each process of the pod."""
        told = self.release.exec("sh", "-c", "cat /proc/[0-9]*/status")
        return [
            {name: " ".join(rest.split()) for name, _, rest in pairs}
            for status in re.split(r"^(?=Name:)", told, flags=re.MULTILINE)[1:]
            if (pairs := [line.partition(":") for line in status.splitlines()])
        ]


@pytest.fixture(scope="module")
def restricted(cluster: Target, defaults: Defaults) -> Iterator[Vm]:
    with namespaces.namespace(cluster, "restricted") as namespace:
        release = Release(namespace, "vm", defaults)
        said = release.upgrade(RESTRICTED)
        release.wait_for_ssh()
        yield Vm(release, said)


@pytest.fixture(scope="module")
def baseline(cluster: Target, defaults: Defaults) -> Iterator[Release]:
    with namespaces.namespace(cluster, "baseline") as namespace:
        release = install(defaults, "vm", BASELINE, namespace)
        release.wait_for_ssh()
        yield release


def test_restricted_is_reached_by_ssh_at_the_pods_address(restricted: Vm) -> None:
    assert restricted.release.ssh("hostname") == "vm-0"


def test_restricted_lets_in_the_ports_of_the_service(restricted: Vm) -> None:
    assert f"comes in   tcp::22-:22, tcp::{PORT}-:{PORT}; nothing else" in restricted.said
    vm = restricted.release
    vm.ssh(f"(echo from the guest | nc -l -p {PORT}) >/dev/null 2>&1 &")
    vm.ssh(f"until netstat -ltn | grep -q ':{PORT} '; do usleep 20000; done")
    with socket.create_connection((vm.address(), PORT), 30) as connection:
        assert connection.makefile("rb").read() == b"from the guest\n"


def test_restricted_passes_helm_test(restricted: Vm) -> None:
    restricted.release.wait_ready()
    said = restricted.release.namespace.helm("test", "vm", "--logs", timeout=300)
    assert "vm-0.vm:22: SSH-" in said
    assert "vm-0.vm:5900: RFB " in said


def test_restricted_is_nobody_with_no_right(restricted: Vm) -> None:
    found = restricted.processes()
    assert {"tini", "startvm", "qemu-system-x86"} <= {each["Name"] for each in found}
    for each in found:
        ids = {*each["Uid"].split(), *each["Gid"].split(), *each["Groups"].split()}
        assert ids == {QEMU_ID}, each["Name"]
        sets = [each[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]
        assert set(sets) == {"0" * 16}, each["Name"]
        assert (each["NoNewPrivs"], each["Seccomp"]) == ("1", "2"), each["Name"]
    spec = restricted.release.get("pod/vm-0")["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False


def test_restricted_comes_back_the_same(restricted: Vm) -> None:
    """Its volumes belong to the pod's group, and still do after the next pod was given them."""
    vm = restricted.release
    vm.ssh("echo kept >/data/note; sync")
    uid = vm.uid()
    vm.namespace.kubectl("delete", "pod/vm-0", "--wait=false")
    vm.wait_for_another(uid)
    assert vm.ssh("cat /data/note") == "kept"


def test_baseline_is_reached_with_qemus_own_network(baseline: Release) -> None:
    assert baseline.ssh("hostname") == "vm-0"
    (container,) = baseline.get("pod/vm-0")["spec"]["containers"]
    added = container["securityContext"]["capabilities"]["add"]
    assert "SETUID" in added
    assert not {"NET_ADMIN", "MKNOD"} & {*added}


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("restricted", ("runAsNonRoot != true", "NET_ADMIN")),
        ("baseline", ("non-default capabilities", "NET_ADMIN")),
    ],
)
def test_standard_is_refused_and_both_helm_and_kubectl_say_why(
    cluster: Target, defaults: Defaults, level: str, words: tuple[str, ...]
) -> None:
    with namespaces.namespace(cluster, level) as namespace:
        warning = warned(Release(namespace, "vm", defaults))
        told = refused(namespace)
        assert namespace.kubectl("get", "pods", "-o", "name") == ""
    for word in (f'PodSecurity "{level}:latest"', *words):
        assert word in warning
        assert word in told


def warned(release: Release) -> str:
    """Install the release. What Helm says besides its notes."""
    file = release.defaults.folder / f"{release.namespace.name}.values.json"
    file.write_text(json.dumps(release.defaults.small), "utf-8")
    target = release.namespace.target
    words = ("-n", release.namespace.name, "install", "vm", str(CHART), f"--values={file}")
    done = subprocess.run(
        target.argv("helm", *words), env=target.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # It is a line of Helm's log, in quotes.
    return done.stderr.replace('\\"', '"')


def refused(namespace: Namespace) -> str:
    """What the StatefulSet says of the pods that it cannot make."""
    failed = ("get", "events", "--field-selector=reason=FailedCreate", "-o", "name")
    wait_until(lambda: namespace.kubectl(*failed) != "")
    return namespace.kubectl("describe", "statefulset/vm")
