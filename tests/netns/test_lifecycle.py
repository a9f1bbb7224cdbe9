"""Set up, taken down, killed on the way, set up again: the pod's network is as it should be."""

import os
import select
from pathlib import Path

import pytest

from tests.netns.lab import Lab, lab
from tests.netns.state import state
from tests.pods.namespaces import PATIENCE
from tests.pods.traffic import TCP, answering, ask

# More changes than there are in any set-up.
MANY = 60


def tap_in_place_of_the_veth(made: Lab) -> None:
    """The tap is the launcher's own, so that nothing of it may stay either."""
    made.pod.ip("link delete tap0")


def test_nothing_is_left_after_a_stop(pod: Lab, backend: str) -> None:
    tap_in_place_of_the_veth(pod)
    before = state(pod.pod)
    podnet = pod.start({"NAT_BACKEND": backend, "PODNET_TAP": "1"})
    assert state(pod.pod) != before
    assert podnet.stop() == 0
    assert state(pod.pod) == before


def test_what_was_switched_on_before_stays_on(pod: Lab) -> None:
    tap_in_place_of_the_veth(pod)
    pod.pod.sysctl(ipv4__ip_forward=1)
    before = state(pod.pod)
    pod.start({"PODNET_TAP": "1"}).stop()
    assert state(pod.pod) == before


def test_a_failure_half_way_leaves_nothing(pod: Lab) -> None:
    tap_in_place_of_the_veth(pod)
    before = state(pod.pod)
    # The last step fails: there is no folder for dnsmasq's files.
    (pod.scratch / "run").write_text("in the way")
    process = pod.spawn({"PODNET_TAP": "1"})
    process.communicate()
    assert process.returncode != 0
    assert state(pod.pod) == before


def killed_at(made: Lab, backend: str, number: int) -> bool:
    """Die after the given number of changes. False if there were not so many."""
    process = made.spawn({"NAT_BACKEND": backend, "PODNET_DIE_AFTER": str(number)})
    out, words = process.communicate()
    assert process.returncode in (0, -9), words
    return not out


def test_killed_at_any_step_the_next_start_makes_it_whole(backend: str, tmp_path: Path) -> None:
    """The pod's network outlives its container: Kubernetes restarts that alone."""
    with lab("plain", tmp_path) as made:
        before = state(made.pod)
        made.start({"NAT_BACKEND": backend})
        whole = state(made.pod)
    for number in range(1, MANY):
        with lab("plain", tmp_path) as made:
            if not killed_at(made, backend, number):
                break
            podnet = made.start({"NAT_BACKEND": backend})
            assert state(made.pod) == whole, f"killed after change {number}"
            podnet.stop()
            assert of_the_pod(state(made.pod)) == of_the_pod(before), f"killed after {number}"
    assert 10 < number < MANY - 1


def of_the_pod(text: str) -> list[str]:
    """Without the veth pair that stands in for the tap, which the lab owns."""
    return [line for line in text.splitlines() if "tap0" not in line]


def test_a_second_start_takes_over_from_one_that_was_killed(up: Lab, backend: str) -> None:
    whole = state(up.pod)
    up.running[0].kill()
    # The rules are still in force, and dnsmasq is gone with the launcher.
    up.start({"NAT_BACKEND": backend})
    assert state(up.pod) == whole
    up.boot()
    with answering(up.vm, TCP, 22):
        assert ask(up.client, TCP, up.pod_ip, 22).who == "vm"


def test_dnsmasq_does_not_outlive_a_killed_launcher(pod: Lab) -> None:
    podnet = pod.start()
    (dnsmasq,) = set(pod.processes()) - {podnet.process.pid}
    ended = os.pidfd_open(dnsmasq)
    try:
        podnet.kill()
        assert select.select([ended], [], [], PATIENCE)[0], "it is still there"
    finally:
        os.close(ended)


def test_the_rules_of_others_are_not_touched(pod: Lab, backend: str) -> None:
    tap_in_place_of_the_veth(pod)
    mesh_of_nft(pod)
    mesh_of_iptables(pod)
    before = state(pod.pod)
    podnet = pod.start({"NAT_BACKEND": backend, "PODNET_TAP": "1"})
    with_ours = state(pod.pod)
    assert set(before.splitlines()) - set(with_ours.splitlines()) <= forwarding_lines(before)
    podnet.stop()
    assert state(pod.pod) == before


def forwarding_lines(text: str) -> set[str]:
    return {line for line in text.splitlines() if "/forwarding:" in line}


@pytest.mark.parametrize("order", ["mesh first", "mesh last"])
def test_a_mesh_has_the_traffic_first(pod: Lab, backend: str, order: str) -> None:
    """Its proxy takes what comes in; what that sends to the pod's address is the VM's."""
    add_mesh = mesh_of_nft if backend == "nft" or order == "mesh last" else mesh_of_iptables
    if order == "mesh first":
        add_mesh(pod)
    pod.start({"NAT_BACKEND": backend})
    if order == "mesh last":
        add_mesh(pod)
    pod.boot()
    with answering(pod.pod, TCP, 15006), answering(pod.vm, TCP, 80):
        assert ask(pod.client, TCP, pod.pod_ip, 80).who == "pod"
        assert ask(pod.pod, TCP, pod.pod_ip, 80).who == "vm"


def mesh_of_nft(made: Lab) -> None:
    made.pod.run(
        *("nft", "-f", "-"),
        stdin="""table ip mesh {
            chain inbound {
                type nat hook prerouting priority -100; policy accept;
                tcp dport 80 redirect to :15006
            }
            chain outbound {
                type nat hook output priority -100; policy accept;
                meta skuid 1337 return
            }
        }""",
    )


def mesh_of_iptables(made: Lab) -> None:
    made.pod.run(
        "iptables-legacy-restore",
        stdin="""*nat
:MESH_IN - [0:0]
-A PREROUTING -p tcp -j MESH_IN
-A MESH_IN -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15006
COMMIT
*filter
-A INPUT -i lo -j ACCEPT
COMMIT
""",
    )


def test_a_bridge_of_somebody_else_is_refused_and_left_alone(pod: Lab) -> None:
    pod.pod.ip("link add br0 type bridge\naddress add 10.9.9.1/24 dev br0\nlink set br0 up")
    before = state(pod.pod)
    assert "already a network device br0, and it is not Berth's" in pod.fail()
    assert state(pod.pod) == before


def test_the_bridge_is_the_same_gateway_after_every_start(pod: Lab) -> None:
    macs = []
    for _ in range(2):
        podnet = pod.start()
        macs.append(pod.pod.run("cat", "/sys/class/net/br0/address"))
        podnet.stop()
    assert macs[0] == macs[1] == "0a:fe:00:00:00:01\n"
