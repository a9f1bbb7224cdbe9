"""A container that is stopped and started again is the same machine to its guest and clients."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Measured
from tests.pods.run import End
from tests.pods.shapes import site
from tests.pods.ssh import Key
from tests.pods.vm import Pod, pod

GIB = 1 << 30
NOTE = "written before the restart"


@dataclass(frozen=True)
class Life:
    """What was seen of a pod and its VM in one run; `host_keys` are those that ssh has seen."""

    machine: dict[str, str]
    disk_size: int
    host_keys: str
    meta_data: str
    base: dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Lives:
    pod: Pod
    first: Life
    end: End
    note: str
    second: Life
    log: str


def look(pod: Pod) -> Life:
    words = {
        "uuid": "cat /sys/class/dmi/id/product_uuid",
        "mac": "cat /sys/class/net/eth0/address",
        "gateway's mac": "arping -c 1 -f -I eth0 192.168.254.1 | grep -o '[[].*[]]'",
        "disk": "cat /sys/block/vda/size",
    }
    told = pod.ssh("; ".join(words.values())).split("\n")
    machine = dict(zip(words, told, strict=True))
    return Life(
        disk_size=int(machine.pop("disk")) * 512,
        machine=machine,
        host_keys=pod.client.known_hosts.read_text(encoding="utf-8"),
        meta_data=pod.ssh("cat /config/openstack/latest/meta_data.json"),
        base={
            path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode & 0o777)
            for path in (pod.folder / "shared").glob("*.qcow2")
            if not path.is_symlink()
        },
    )


@pytest.fixture(scope="module")
def lives(
    key: Key,
    image: Path,
    tmp_path_factory: pytest.TempPathFactory,
    measured: Measured,
) -> Iterator[Lives]:
    folder = tmp_path_factory.mktemp("restart")
    source = folder / "tiny.qcow2"
    source.write_bytes(image.read_bytes())
    with site("plain") as made, pod(made, folder / "pod", key, source) as ours:
        ours.boot()
        ours.ssh(f"echo {NOTE} >/data/note")
        first = look(ours)
        end = ours.runs[-1].stop()
        source.unlink()
        run = ours.start(VM_DISK_SIZE="1G")
        seconds = ours.wait_for_ssh(run)
        measured(f"tiny guest, restarted: ssh after {seconds:.1f} s")
        note = ours.ssh("cat /data/note")
        yield Lives(ours, first, end, note, look(ours), run.log.text)


def test_it_ends_as_it_should(lives: Lives) -> None:
    assert lives.end.status == 0


def test_its_data_is_still_there(lives: Lives) -> None:
    assert lives.note == NOTE


def test_it_starts_without_its_source(lives: Lives) -> None:
    assert "image:" not in lives.log


def test_it_is_the_same_machine(lives: Lives) -> None:
    assert lives.second.machine == lives.first.machine
    assert re.fullmatch(r"[0-9a-f-]{36}", lives.first.machine["uuid"])


def test_cloud_init_would_take_it_for_the_same_instance(lives: Lives) -> None:
    assert lives.second.meta_data == lives.first.meta_data
    assert json.loads(lives.first.meta_data)["uuid"] == lives.first.machine["uuid"]


def test_clients_find_the_same_host_key(lives: Lives) -> None:
    """ssh refuses a host whose key changed; here it did not even see another one."""
    assert lives.second.host_keys == lives.first.host_keys != ""


def test_its_base_stays_what_it_was(lives: Lives) -> None:
    ((name, (digest, mode)),) = lives.first.base.items()
    assert (name, mode) == (f"sha256-{digest}.qcow2", 0o444)
    assert lives.second.base == lives.first.base


def test_its_disk_has_grown(lives: Lives) -> None:
    assert lives.first.disk_size < GIB
    assert lives.second.disk_size == GIB


def test_what_grew_can_be_used(lives: Lives) -> None:
    """The guest writes beyond the end of what its disk was, and reads it again."""
    seek = lives.first.disk_size // 512 + 1000
    write = f"echo grown | dd of=/dev/vda bs=512 seek={seek} conv=sync 2>/dev/null"
    read = f"dd if=/dev/vda bs=512 skip={seek} count=1 2>/dev/null"
    assert (
        lives.pod.ssh(f"{write}; sync; echo 3 >/proc/sys/vm/drop_caches; {read}")[:6] == "grown\n"
    )


def test_it_does_not_shrink_and_is_left_alone(lives: Lives) -> None:
    pod = lives.pod
    pod.runs[-1].stop()
    before = pod.disk.stat()
    end = pod.start(VM_DISK_SIZE="512M").wait()
    assert end.status == 78, end.log
    assert "VM_DISK_SIZE is 536870912 bytes (512 MiB)" in end.log
    assert f"the pet's disk has {GIB} bytes (1.0 GiB), which never shrinks" in end.log
    after = pod.disk.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    run = pod.start(VM_DISK_SIZE="512M", ON_SMALLER_SIZE="keep")
    pod.wait_for_ssh(run)
    assert int(pod.ssh("cat /sys/block/vda/size")) * 512 == GIB
    assert f"the disk keeps its {GIB} bytes" in run.log.text
