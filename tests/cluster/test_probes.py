"""What Kubernetes knows of a VM, and what it does about it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import namespaces
from tests.cluster.release import Defaults, Release, install, wait_until
from tests.cluster.target import Target

PORT = 8080
SOON = {"period": 2}
VMS = {
    "port": {"probes": {"readiness": {"port": PORT, **SOON}}},
    "stays": {"onPoweroff": "stay", "probes": {"readiness": SOON, "liveness": SOON}},
    "ends": {},
    # It hangs, so it is not told to shut down but cut off, when this time is over.
    "hangs": {"stopTimeout": 5, "probes": {"liveness": {"period": 1}}},
    "dies": {},
}
# Such a process belongs to another user, and root without CAP_KILL has no power over it.
SIGNAL_QEMU = """\
for each in /proc/[0-9]*; do
    read -r name <$each/comm || continue
    case $name in qemu-system*)
        exec setpriv --reuid=107 --regid=107 --clear-groups sh -c "kill -$1 ${each#/proc/}" ;;
    esac
done
exit 1
"""
WRITE, READ = "echo kept >/data/note; sync", "cat /data/note"


@pytest.fixture(scope="module")
def vms(cluster: Target, defaults: Defaults) -> Iterator[Release]:
    with namespaces.namespace(cluster) as namespace:
        yield install(defaults, "vm", {"vms": VMS}, namespace)


def container(vms: Release, pod: str) -> Any:
    """What Kubernetes knows of the VM's container."""
    (status,) = vms.get(f"pod/{pod}")["status"]["containerStatuses"]
    return status


def wait_for_restart(vms: Release, pod: str) -> Any:
    """Wait until the container runs and is ready for the second time. Returns how its first run
    ended."""
    vms.namespace.wait(f"pod/{pod}", "jsonpath={.status.containerStatuses[0].restartCount}=1", 300)
    vms.wait_ready(pod)
    return container(vms, pod)["lastState"]["terminated"]


def test_not_ready_before_its_port_answers(vms: Release) -> None:
    pod = "vm-port-0"
    vms.wait_for_ssh(pod)
    vms.namespace.wait(f"pod/{pod}", "jsonpath={.status.containerStatuses[0].started}=true", 300)

    def events() -> str:
        return vms.namespace.kubectl("events", f"--for=pod/{pod}")

    wait_until(lambda: f":{PORT}: connect: connection refused" in events(), 60, events)
    assert not container(vms, pod)["ready"]
    vms.ssh(f"mkdir /run/www; httpd -p {PORT} -h /run/www", pod)
    vms.wait_ready(pod)
    vms.ssh("killall httpd", pod)
    vms.namespace.wait(f"pod/{pod}", "condition=Ready=False")
    assert container(vms, pod)["restartCount"] == 0


def test_a_vm_that_stays_off_is_not_ready_and_alive(vms: Release) -> None:
    pod = "vm-stays-0"
    vms.wait_ready(pod)
    vms.wait_for_log("tiny login ready", pod)
    vms.ssh("(sleep 1; poweroff) >/dev/null 2>&1 &", pod)
    vms.namespace.wait(f"pod/{pod}", "condition=Ready=False")
    assert vms.exec("berth", "probe", "alive", pod=pod).startswith("off: ")
    vms.wait_for_log("the VM stays off", pod)
    status = container(vms, pod)
    assert (status["restartCount"], "running" in status["state"]) == (0, True)


def test_a_vm_that_powers_off_is_started_again(vms: Release) -> None:
    pod = "vm-ends-0"
    vms.wait_for_ssh(pod).run(WRITE)
    vms.wait_for_log("tiny login ready", pod)
    vms.ssh("(sleep 1; poweroff) >/dev/null 2>&1 &", pod)
    assert wait_for_restart(vms, pod)["exitCode"] == 0
    assert "the guest powered itself off" in vms.logs(pod, "--previous")
    vms.wait_for_ssh(pod)
    assert vms.ssh(READ, pod) == "kept"


@pytest.mark.parametrize(("vm", "signal"), [("hangs", "STOP"), ("dies", "KILL")])
def test_a_vm_without_a_working_qemu_is_started_again(vms: Release, vm: str, signal: str) -> None:
    pod = f"vm-{vm}-0"
    vms.wait_for_ssh(pod).run(WRITE)
    vms.wait_ready(pod)
    vms.exec("sh", "-c", SIGNAL_QEMU, "-", signal, pod=pod)
    assert wait_for_restart(vms, pod)["exitCode"] != 0
    if signal == "STOP":
        events = vms.namespace.kubectl("events", f"--for=pod/{pod}")
        assert "Liveness probe failed: QEMU's monitor does not answer" in events
    vms.wait_for_ssh(pod)
    assert vms.ssh(READ, pod) == "kept"
