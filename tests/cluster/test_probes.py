"""What Kubernetes knows of a VM, and what it does about it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.cluster import namespaces
from tests.cluster.conftest import Web
from tests.cluster.release import Defaults, Release, install
from tests.cluster.target import Target

PORT = 8080
SOON = {"period": 2}
VMS = {
    "port": {"probes": {"readiness": {"port": PORT, **SOON}}},
    "agent": {"probes": {"readiness": {"agent": True, **SOON}}},
    "stays": {"onPoweroff": "stay", "probes": {"readiness": SOON, "liveness": SOON}},
    "ends": {},
    # It hangs, so it is not told to shut down but cut off, when this time is over.
    "hangs": {"stopTimeout": 5, "probes": {"liveness": SOON}},
}
WRITE = "echo kept >/data/note; sync"
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


def power_off(vms: Release, pod: str) -> None:
    vms.wait_for_log("tiny login ready", pod)
    vms.ssh("(sleep 1; poweroff) >/dev/null 2>&1 &", pod)


def signal_qemu(vms: Release, pod: str, name: str) -> None:
    vms.exec("sh", "-c", SIGNAL_QEMU, "-", name, pod=pod)


# What becomes of these takes its time, in which the tests of others can run.
DISASTERS: dict[str, Callable[[Release, str], None]] = {
    "vm-hangs-0": partial(signal_qemu, name="STOP"),
    "vm-ends-0": power_off,
}


@pytest.fixture(scope="module")
def vms(cluster: Target, defaults: Defaults) -> Iterator[Release]:
    with namespaces.namespace(cluster) as namespace:
        release = install(defaults, "vm", {"vms": VMS}, namespace)
        for pod, strike in DISASTERS.items():
            release.wait_for_ssh(pod).run(WRITE)
            release.wait_ready(pod)
            strike(release, pod)
        yield release


def container(vms: Release, pod: str) -> Any:
    """What Kubernetes knows of the VM's container."""
    (status,) = vms.get(f"pod/{pod}")["status"]["containerStatuses"]
    return status


def restarted(vms: Release, pod: str) -> Any:
    """Wait until the container runs for the second time, with the VM's data. Returns how its first
    run ended."""
    vms.namespace.wait(f"pod/{pod}", "jsonpath={.status.containerStatuses[0].restartCount}=1", 300)
    vms.wait_for_ssh(pod)
    assert vms.ssh("cat /data/note", pod) == "kept"
    return container(vms, pod)["lastState"]["terminated"]


def test_ready_no_sooner_than_the_vm_runs(web: Web) -> None:
    log = web.release.logs("", "--timestamps").splitlines()
    (line,) = (line for line in log if line.endswith("startvm: web-0 is running"))
    running = datetime.fromisoformat(line.split()[0])
    conditions = web.release.get("pod/web-0")["status"]["conditions"]
    (ready,) = (each for each in conditions if each["type"] == "Ready")
    # Kubernetes counts whole seconds.
    assert datetime.fromisoformat(ready["lastTransitionTime"]) >= running.replace(microsecond=0)


def test_not_ready_before_its_port_answers(vms: Release) -> None:
    pod = "vm-port-0"
    vms.wait_for_log("tiny login ready", pod)
    vms.namespace.wait(f"pod/{pod}", "jsonpath={.status.containerStatuses[0].started}=true", 300)
    # The VM has been running for as long as a guest boots, which is several periods.
    assert not container(vms, pod)["ready"]
    vms.ssh(f"mkdir /run/www; httpd -p {PORT} -h /run/www", pod)
    vms.wait_ready(pod)
    vms.ssh("killall httpd", pod)
    vms.namespace.wait(f"pod/{pod}", "condition=Ready=False")
    assert container(vms, pod)["restartCount"] == 0


def test_not_ready_without_its_agent(vms: Release) -> None:
    pod = "vm-agent-0"
    vms.wait_ready(pod)
    vms.ssh("killall qemu-ga", pod)
    vms.namespace.wait(f"pod/{pod}", "condition=Ready=False")
    events = vms.namespace.kubectl("events", f"--for=pod/{pod}")
    assert "Readiness probe failed: running, but the guest agent does not answer" in events
    assert container(vms, pod)["restartCount"] == 0


def test_a_vm_that_stays_off_is_not_ready_and_alive(vms: Release) -> None:
    pod = "vm-stays-0"
    vms.wait_ready(pod)
    power_off(vms, pod)
    vms.namespace.wait(f"pod/{pod}", "condition=Ready=False")
    assert vms.exec("berth", "probe", "alive", pod=pod).startswith("off: ")
    vms.wait_for_log("the VM stays off", pod)
    status = container(vms, pod)
    assert (status["restartCount"], "running" in status["state"]) == (0, True)


def test_a_vm_whose_qemu_dies_is_started_again(vms: Release) -> None:
    vms.ssh(WRITE, "vm-port-0")
    signal_qemu(vms, "vm-port-0", "KILL")
    assert restarted(vms, "vm-port-0")["exitCode"] != 0


def test_a_vm_that_powers_off_is_started_again(vms: Release) -> None:
    assert restarted(vms, "vm-ends-0")["exitCode"] == 0
    vms.wait_ready("vm-ends-0")
    assert "the guest powered itself off" in vms.logs("vm-ends-0", "--previous")


def test_a_vm_whose_qemu_hangs_is_started_again(vms: Release) -> None:
    assert restarted(vms, "vm-hangs-0")["exitCode"] != 0
    vms.wait_ready("vm-hangs-0")
    events = vms.namespace.kubectl("events", "--for=pod/vm-hangs-0")
    assert "Liveness probe failed: QEMU's monitor does not answer" in events
