"""`helm install` with the two values that are there to be edited, and what it says and makes."""

import re
import subprocess

import pytest

from tests.cluster.conftest import Web
from tests.cluster.target import CommandError

GIB = 1 << 30


def printed(said: str, label: str) -> str:
    """The command after a label in what Helm said."""
    found = re.search(rf"^ *{label}:? +(.*)$", said, re.MULTILINE)
    assert found, said
    return found[1]


def run(web: Web, command: str) -> str:
    """Run what was printed, as somebody would who copies it into a shell."""
    done = subprocess.run(
        ["bash", "-ec", command],
        env=web.release.namespace.target.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_two_values_make_a_vm(web: Web) -> None:
    assert web.ssh("hostname") == "web-0"
    assert int(web.ssh("cat /sys/block/vda/size")) * 512 == 10 * GIB
    assert int(web.ssh("nproc")) == 1
    kibibytes = web.ssh("sed -n 's/^MemTotal: *//p' /proc/meminfo").split()[0]
    assert 0.9 * GIB < int(kibibytes) * 1024 < GIB


def test_the_claims_have_the_class(web: Web) -> None:
    claims = {
        each["metadata"]["name"]: (each["spec"]["storageClassName"], each["status"]["phase"])
        for each in web.release.get("pvc")["items"]
    }
    bound = (web.class_name, "Bound")
    assert claims == {"web-shared": bound, "pet-web-0": bound}


def test_the_commands_that_it_prints(web: Web) -> None:
    run(web, printed(web.said, "wait"))
    assert "web-0 is running" in run(web, printed(web.said, "its boot").replace("logs -f", "logs"))
    log_in = printed(web.said, "log in")
    assert log_in.startswith("ssh root@$(")
    assert run(web, log_in.replace("ssh ", "echo ", 1)).strip() == f"root@{web.client.address}"


def test_it_says_that_it_emulates_and_what_changes_that(web: Web) -> None:
    if "/kvm" in web.release.namespace.target.kubectl("get", "nodes", "-o", "json"):
        pytest.skip("the nodes offer hardware virtualisation")
    assert "NO HARDWARE VIRTUALISATION for web" in web.said
    assert "--set kvm=privileged" in web.said


def test_helm_test_reaches_a_good_vm(web: Web) -> None:
    said = run(web, f"{printed(web.said, 'All of them')} --logs")
    assert re.search(r"^Phase: +Succeeded$", said, re.MULTILINE)
    assert "web-0.web:22: SSH-" in said
    assert "web-0.web:5900: RFB " in said


def test_helm_test_tells_what_it_does_not_reach(web: Web) -> None:
    uid = web.release.uid()
    values = ("testPort=4444", "testTimeout=3")
    sets = [word for each in values for word in ("--set", each)]
    web.release.helm("upgrade", "--reuse-values", *sets)
    try:
        with pytest.raises(CommandError) as failure:
            web.release.namespace.helm("test", "web", "--logs")
    finally:
        web.release.namespace.helm("rollback", "web", "1")
    assert re.search(r"web-0\.web:4444: not yet: .*refused", str(failure.value))
    assert "given up; what the VM says: kubectl logs web-0" in str(failure.value)
    # What is tested is nothing to the VM.
    assert web.release.uid() == uid
