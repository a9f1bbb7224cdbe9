"""Another image in an upgrade: VMs that are there stay on theirs, new ones get the new one."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import Installer
from tests.cluster.target import Target
from tests.guests import tiny

MARK = 0x42
SIZE = 1 << 20


@pytest.fixture
def newer(cluster: Target, tmp_path: Path) -> dict[str, str]:
    """Values for an image that has a mark at its end, where the other one has nothing."""
    if cluster.own is None:
        pytest.skip("another image has to be served to the cluster")
    image = tmp_path / "newer.qcow2"
    shutil.copy(tiny.image(), image)
    image.chmod(0o600)
    for command in (
        ("qemu-img", "resize", "-q", image, f"+{SIZE}"),
        ("qemu-io", "-c", f"write -q -P {MARK} {end(tiny.image())} {SIZE}", image),
    ):
        subprocess.run(command, check=True)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    return {"source": cluster.own.publish(image), "checksum": f"sha256:{digest}"}


def end(image: Path) -> int:
    """Bytes of its disk."""
    told = subprocess.run(
        ["qemu-img", "info", "--output=json", image], check=True, capture_output=True
    )
    size: int = json.loads(told.stdout)["virtual-size"]
    return size


def test_each_vm_keeps_the_image_that_it_began_with(
    installed: Installer, newer: dict[str, str]
) -> None:
    vm = installed("vm", {})
    vm.wait_for_ssh()
    vm.ssh("echo kept >/data/note; sync")
    uid = vm.uid()

    vm.upgrade({"image": newer, "replicas": 2})
    vm.wait_for_another(uid)
    vm.wait_for_ssh("vm-1")
    read = (
        f"dd if=/dev/vda bs=4096 skip={end(tiny.image()) // 4096} count=1 2>/dev/null | xxd -p -l 2"
    )
    assert vm.ssh(read) == "0000"
    assert vm.ssh(read, "vm-1") == f"{MARK:02x}" * 2
    assert vm.ssh("cat /data/note") == "kept"
    assert f"IMG_SOURCE is {newer['source']} now; the pet vm-0 stays on its own base" in vm.logs()
    assert "stays on its own" not in vm.logs("vm-1")
    bases = vm.exec("sh", "-c", "ls /shared/*.qcow2").split()
    assert f"/shared/sha256-{newer['checksum'].partition(':')[2]}.qcow2" in bases
    assert len([each for each in bases if "/sha256-" in each]) == 2
