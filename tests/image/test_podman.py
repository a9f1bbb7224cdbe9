"""The container alone: what examples/podman.sh gives to somebody without Kubernetes."""

import json
import socket
from collections.abc import Iterator

import pytest
import yaml

from tests.conftest import Measured
from tests.containers import image
from tests.containers.host import Host
from tests.guests import tiny
from tests.image.vm import EXAMPLE, NAME, Vm
from tests.pods.ssh import Key, make_key
from tests.storage.http_server import Server, running

# An address of the host that containers reach through their gateway.
HOST = "192.0.2.80"


@pytest.fixture(scope="module")
def server(machine: Host) -> Iterator[Server]:
    """A web server on the host."""
    machine.space.ip(f"address add {HOST}/32 dev lo")
    entered = running(host=HOST)
    try:
        yield machine.space.call(entered.__enter__)
    finally:
        entered.__exit__(None, None, None)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def vm(
    machine: Host,
    server: Server,
    key: Key,
    reference: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Vm]:
    """The example's VM, which runs when a test gets it and has to when the test is done."""
    del reference
    address = server.serve("/tiny.qcow2", tiny.image().read_bytes())
    made = Vm(machine, tmp_path_factory.mktemp("vm"), key, address)
    made.create()
    try:
        made.wait_for_ssh()
        yield made
    finally:
        machine.remove_all()


def test_root_may_log_in_to_an_image_that_has_a_user_of_its_own(vm: Vm) -> None:
    """cloud-init in Debian's images gives the key to that user alone unless it is told. This guest
    has no other."""
    userdata = yaml.safe_load((vm.folder / "userdata").read_text("utf-8"))
    assert userdata == {"disable_root": False, "ssh_authorized_keys": [vm.key.public]}


def test_example_names_this_version() -> None:
    assert image.REFERENCE in EXAMPLE.read_text(encoding="utf-8").split()


def test_ssh_at_the_containers_address(vm: Vm) -> None:
    assert vm.ssh("hostname") == NAME


def test_screen_at_port_5900(vm: Vm) -> None:
    with vm.host.space.socket(socket.SOCK_STREAM) as viewer:
        viewer.connect((vm.address, 5900))
        assert viewer.recv(12) == b"RFB 003.008\n"


def test_logs_show_the_boot(vm: Vm) -> None:
    vm.wait_for_console("tiny login ready")
    _, log = vm.host.logs(NAME)
    assert f"every port of {vm.address} leads to the VM" in log


def test_commands_beside_it(vm: Vm) -> None:
    status = json.loads(vm.host.exec(NAME, "berth", "status", "--json"))
    assert status["phase"] == "running", status


def test_qemu_is_nobody(vm: Vm) -> None:
    """Its user, and what is left of the container's capabilities in it."""
    script = (
        'cd "$(dirname "$(grep -l ^qemu-system /proc/[0-9]*/comm)")"; grep -E "^(Uid|Cap)" status'
    )
    lines = dict(line.split(":") for line in vm.host.exec(NAME, "sh", "-c", script).splitlines())
    assert lines["Uid"].split() == ["107"] * 4
    assert int(lines["CapEff"], 16) == int(lines["CapPrm"], 16) == 0


def test_every_write_of_the_pet_has_its_place_beforehand(vm: Vm) -> None:
    disk = f"/pet/{NAME}.qcow2"
    argv = ("qemu-img", "check", "--force-share", "--output=json", disk)
    found = json.loads(vm.host.exec(NAME, *argv, check=False))
    assert found["allocated-clusters"] == found["total-clusters"] > 0
    length, blocks = map(int, vm.host.exec(NAME, "stat", "--format=%s %b", disk).split())
    assert blocks * 512 < length


def test_another_container_on_the_same_disk(vm: Vm) -> None:
    """It is refused, and told which disk is in use; the VM goes on."""
    name = "other"
    volumes = ("--volume=berth-shared:/shared", f"--volume={NAME}:/pet")
    vm.host.run(
        *("podman", "run", "--detach", "--name", name, "--hostname", NAME, *volumes),
        *("--cap-add=NET_ADMIN", "--device=/dev/net/tun", "--env=ACCEL=tcg"),
        *(f"--env=IMG_SOURCE={vm.image}", image.REFERENCE),
    )
    status = vm.host.wait(name)
    _, log = vm.host.logs(name)
    assert status == 75, log
    assert f"/pet/{NAME}.qcow2" in log
    assert "the other pod has to end first" in log
    assert vm.is_running


def test_stop_and_start(vm: Vm, measured: Measured) -> None:
    """The guest shuts down cleanly, and comes back with its disk and who it is."""
    before = identity(vm)
    vm.ssh("echo kept >/data/note")
    vm.host.run("podman", "stop", NAME)
    assert vm.host.inspect(NAME, ".State.ExitCode") == "0"
    _, log = vm.host.logs(NAME)
    assert log.endswith("startvm: the guest has shut down\n")

    vm.host.run("podman", "start", NAME)
    measured(f"podman start: ssh after {vm.wait_for_ssh():.1f} s")
    assert vm.ssh("cat /data/note") == "kept"
    assert identity(vm) == before


def test_new_container_over_the_same_volumes(vm: Vm, server: Server) -> None:
    """What an update of the image is: nothing is fetched again, and it is the same VM."""
    before = identity(vm)
    fetched = len(server.paths())
    vm.host.run("podman", "stop", NAME)
    vm.host.run("podman", "rm", NAME)
    vm.create()
    vm.wait_for_ssh()
    assert identity(vm) == before
    assert len(server.paths()) == fetched


def identity(vm: Vm) -> dict[str, str]:
    """Its host key is checked whenever we log in."""
    return {
        "uuid": vm.ssh("cat /sys/class/dmi/id/product_uuid"),
        "mac": vm.ssh("cat /sys/class/net/eth0/address"),
        "name": vm.ssh("hostname"),
    }
