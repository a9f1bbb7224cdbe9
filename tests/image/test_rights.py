"""The rights that a container needs: all of the example's, or none at all."""

import re
from pathlib import Path

import pytest

from tests.containers.host import Host
from tests.guests import tiny
from tests.image.vm import EXAMPLE, NAME, Vm
from tests.pods.ssh import Key, make_key

CAPABILITIES = re.findall(r"--cap-add (\w+)", EXAMPLE.read_text(encoding="utf-8"))
TINY = "/tiny.qcow2"


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return make_key(tmp_path)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_each_capability_is_needed(
    capability: str, machine: Host, key: Key, reference: str, tmp_path: Path
) -> None:
    """Without it startvm ends, and says what it lacks."""
    del reference
    text = EXAMPLE.read_text(encoding="utf-8").replace(f"--cap-add {capability}", "")
    script = tmp_path / "podman.sh"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    vm = Vm(machine, tmp_path, key, TINY, script)
    try:
        vm.create(f"--volume={tiny.image()}:{TINY}:ro")
        status = machine.wait(NAME)
        _, log = machine.logs(NAME)
    finally:
        machine.remove_all()
    assert status == 77, log
    assert capability in log


def test_no_right_at_all(machine: Host, key: Key, reference: str, tmp_path: Path) -> None:
    """With QEMU's own network the whole container may run as QEMU's user, without a capability."""
    vm = Vm(machine, tmp_path, key, TINY)
    vm.write_userdata()
    options = [
        *("--user=107:107", "--cap-drop=all", "--security-opt=no-new-privileges", "--read-only"),
        *("--sysctl=net.ipv4.ip_unprivileged_port_start=0", "--tmpfs=/run/berth:mode=0777"),
        *("--volume=berth-shared:/shared:U", f"--volume={NAME}:/pet:U"),
        *(f"--volume={tmp_path}/userdata:/userdata:ro", f"--volume={tiny.image()}:{TINY}:ro"),
        *(f"--env=IMG_SOURCE={TINY}", "--env=ACCEL=tcg", "--env=VM_MEMORY=192M"),
        *("--env=NETWORK=user", "--env=HOSTFWD=tcp::22-:22"),
    ]
    try:
        machine.run("podman", "run", "--detach", "--name", NAME, *options, reference)
        vm.wait_for_ssh()
        assert vm.ssh("id -u") == "0"
        status = machine.exec(NAME, "cat", "/proc/1/status")
        machine.run("podman", "stop", NAME)
        assert machine.inspect(NAME, ".State.ExitCode") == "0", vm.log
    finally:
        machine.remove_all()
    assert re.search(r"^CapBnd:\s0+$", status, re.M)
    assert re.search(r"^Uid:\s107\b", status, re.M)
