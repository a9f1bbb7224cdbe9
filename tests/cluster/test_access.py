"""`kubectl logs`, `kubectl exec` and `kubectl port-forward`, as on any pod."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.boot.terminal import DETACH, terminal
from tests.cluster.conftest import Web
from tests.pods.output import Output
from tests.pods.ssh import Client


@contextmanager
def forwarded(web: Web, port: int) -> Iterator[int]:
    """A port of this machine that leads to one of the VM's pod."""
    target, namespace = web.release.namespace.target, web.release.namespace.name
    words = ("-n", namespace, "port-forward", web.release.pod(), f":{port}")
    output = Output()
    process = subprocess.Popen(
        target.argv("kubectl", *words), env=target.environment, stdout=output.fd, stderr=output.fd
    )
    os.close(output.fd)
    try:
        found = output.wait_for(rf"^Forwarding from 127\.0\.0\.1:(\d+) -> {port}$")
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()


def test_the_log_has_our_lines_and_the_guests(web: Web) -> None:
    web.release.wait_for_log("tiny login ready")
    log = web.release.logs()
    downloaded, running, ready = (
        log.index(words)
        for words in ("startvm: downloaded ", "startvm: web-0 is running", "\nssh ready")
    )
    assert downloaded < running < ready
    assert f"every port of {web.client.address} leads to the VM, except tcp/5900" in log


def test_a_person_at_the_console(web: Web) -> None:
    web.release.wait_for_log("tiny login ready")
    target, namespace = web.release.namespace.target, web.release.namespace.name
    words = ("-n", namespace, "exec", "-it", web.release.pod(), "--", "berth", "console")
    with terminal(target.argv("kubectl", *words), target.environment) as person:
        person.wait_for(rb"attached to the console; \^\] detaches")
        person.type(b"echo $((6 * 7)) from $(hostname)\r")
        person.wait_for(rb"\r\n42 from web-0\r\n")
        person.type(DETACH)
        assert person.wait() == 0
    # It goes on in the log.
    web.release.wait_for_log("42 from web-0")


def test_what_berth_tells(web: Web) -> None:
    assert web.release.exec("berth", "status") == "running\n"
    plan = json.loads(web.release.exec("berth", "plan", "--json"))
    assert plan["pet"] == ["use the pet /pet/web-0.qcow2"]
    settings = json.loads(web.release.exec("berth", "settings", "--json"))
    assert settings["IMG_SOURCE"] == web.release.defaults.guest.source


def test_ssh_by_port_forward(web: Web) -> None:
    ours = web.client
    with forwarded(web, 22) as port:
        client = Client(None, "127.0.0.1", ours.key, ours.known_hosts, port, ours.alias)
        assert client.run("hostname") == b"web-0\n"


def test_a_sidecar_would_not_be_asked(web: Web) -> None:
    """Commands go to the VM's container without being told so."""
    pod = web.release.get("pod/web-0")
    assert pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "vm"
