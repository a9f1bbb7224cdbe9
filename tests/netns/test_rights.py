"""With no more rights than a pod has that is not privileged, and with too few."""

import pytest

from tests.netns.conftest import need
from tests.netns.lab import Lab
from tests.pods.traffic import TCP, answering, ask

READ_ONLY = (
    *("unshare", "--mount", "sh", "-c"),
    'mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec "$@"',
    "sh",
)


def only(*capabilities: str) -> tuple[str, ...]:
    """A wrapper that leaves a program these capabilities, as `drop: [ALL]` with `add` does."""
    kept = ",".join(["-all", *(f"+{each}" for each in capabilities)])
    return ("setpriv", f"--bounding-set={kept}", f"--inh-caps={kept}", "--no-new-privs", "--")


def hidden(program: str) -> tuple[str, ...]:
    """A wrapper in whose mount namespace the program cannot be run."""
    return (
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount --bind /dev/null {program} && exec "$@"',
        "sh",
    )


def test_it_forwards_with_proc_read_only_and_forwarding_off(pod: Lab, backend: str) -> None:
    # A new namespace has what the machine has, which may be a node that forwards.
    pod.pod.sysctl(ipv4__ip_forward=0)
    pod.start({"NAT_BACKEND": backend}, READ_ONLY)
    pod.boot()
    assert pod.pod.run("sysctl", "-n", "net.ipv4.ip_forward") == "0\n"
    with answering(pod.vm, TCP, 80), answering(pod.client, TCP, 443):
        assert ask(pod.client, TCP, pod.pod_ip, 80).who == "vm"
        assert ask(pod.pod, TCP, "127.0.0.1", 80).who == "vm"
        assert ask(pod.vm, TCP, pod.client_ip, 443).who == "client"


def test_net_admin_is_enough(pod: Lab) -> None:
    # As container runtimes set it for pods.
    pod.pod.sysctl(ipv4__ip_unprivileged_port_start=0)
    pod.pod.resolv_conf("nameserver 127.0.0.11\n")
    pod.pod.ip("link delete tap0")
    podnet = pod.start({"PODNET_TAP": "1"}, only("net_admin"))
    assert podnet.stop() == 0


def test_legacy_tables_need_net_raw_as_well(pod: Lab) -> None:
    """libiptc opens a raw socket to speak to the kernel."""
    need("iptables")
    pod.pod.sysctl(ipv4__ip_unprivileged_port_start=0)
    words = pod.fail({"NAT_BACKEND": "iptables"}, only("net_admin"))
    assert "the container needs the capabilities NET_ADMIN and NET_RAW" in words
    podnet = pod.start({"NAT_BACKEND": "iptables"}, only("net_admin", "net_raw"))
    assert podnet.stop() == 0


def test_auto_takes_the_other_backend_where_nft_does_not_work(pod: Lab) -> None:
    need("iptables")
    podnet = pod.start({}, hidden("/usr/sbin/nft"))
    assert "BERTH-PREROUTING" in pod.pod.run("iptables-legacy-save")
    podnet.process.kill()
    assert "NAT by iptables: nft does not work here" in podnet.process.communicate()[1]


@pytest.mark.parametrize("tap", ["", "1"], ids=["links", "tap"])
def test_without_net_admin_it_says_so(pod: Lab, tap: str) -> None:
    if tap:
        pod.pod.ip("link delete tap0")
    words = pod.fail({"PODNET_TAP": tap}, only("chown"))
    assert "the container needs the capability NET_ADMIN" in words


def test_no_default_route_is_a_clear_error(pod: Lab) -> None:
    pod.pod.ip("route delete default")
    assert "the pod has no IPv4 default route" in pod.fail()


def test_no_address_is_a_clear_error(pod: Lab) -> None:
    pod.pod.ip("address flush dev ens5\nroute add default dev ens5")
    assert "ens5, the device of the pod's default route, has no global IPv4 address" in pod.fail()
