"""One boot of a Debian guest, whose cloud-init takes Berth for the cloud it says it is."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot import filesystem
from tests.boot.filesystem import Verdict
from tests.conftest import Measured
from tests.guests import debian
from tests.pods.run import End
from tests.pods.shapes import MTU, site
from tests.pods.ssh import Key
from tests.pods.vm import pod

GIB = 1 << 30
# systemd and cloud-init's four stages, all of them emulated.
PATIENCE = 600.0
ROOT = 2
SETTINGS = {"VM_MEMORY": "768M", "VM_DISK_SIZE": "3G", "STOP_TIMEOUT": "120"}
USER_DATA = (
    "disable_root: false",
    "write_files:",
    "  - path: /etc/berth-was-here",
    "    content: |",
    "      by write_files",
    "runcmd:",
    "  - [sh, -c, 'echo by runcmd >>/etc/berth-was-here']",
)
METADATA = "hostname: deb.example.org\nflavour: salty\n"


@dataclass(frozen=True)
class Seen:
    """What the guest told before it was stopped; `told` by the words that name it below."""

    told: dict[str, str]
    agent: object
    record: dict[str, object]
    end: End
    verdict: Verdict


QUESTIONS = {
    "status": "cloud-init status --wait --long",
    "result": "cat /run/cloud-init/result.json",
    "instance": "cat /var/lib/cloud/data/instance-id",
    "machine": "cat /sys/class/dmi/id/product_uuid",
    "host name": "hostname",
    "network": "ip -json address show",
    "route": "ip -json route show default",
    "resolver": "resolvectl dns",
    "root": "findmnt --bytes --noheadings --output SIZE /",
    "finished": "ls /var/lib/cloud/instance/boot-finished",
    "written": "cat /etc/berth-was-here",
    "flavour": "cloud-init query ds.meta_data.flavour",
    "failed": "systemctl --failed --no-legend",
}


@pytest.fixture(scope="module")
def seen(key: Key, tmp_path_factory: pytest.TempPathFactory, measured: Measured) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("debian")
    with (
        site("calico") as made,
        pod(made, folder / "pod", key, debian.image(), SETTINGS, name="deb-0") as ours,
    ):
        ours.write_userdata(*USER_DATA)
        ours.metadata.write_text(METADATA, encoding="utf-8")
        run = ours.start()
        seconds = ours.wait_for_ssh(run, PATIENCE)
        measured(f"Debian guest, cloud-init, calico pod: ssh after {seconds:.0f} s")
        # sshd is there before the keys are.
        run.console.wait_for("Cloud-init .* finished at", PATIENCE)
        script = "; echo; echo '-- '; ".join(f"({command}) 2>&1" for command in QUESTIONS.values())
        answers = ours.client.run(script, timeout=PATIENCE).decode().split("\n-- \n")
        told = {name: text.strip() for name, text in zip(QUESTIONS, answers, strict=True)}
        agent = ping(ours.run_dir / "agent.sock")
        end = run.stop(PATIENCE)
        verdict = filesystem.judge(ours.disk, ROOT, folder)
        record = json.loads(ours.disk.with_suffix(".json").read_text(encoding="utf-8"))
        yield Seen(told, agent, record, end, verdict)


def ping(path: Path) -> object:
    """What the guest agent says to a ping."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(60)
        end.connect(str(path))
        end.sendall(b'{"execute": "guest-ping"}\n')
        return json.loads(end.makefile().readline())


def test_cloud_init_is_done_without_errors(seen: Seen) -> None:
    assert "status: done" in seen.told["status"]
    result = json.loads(seen.told["result"])["v1"]
    assert result["errors"] == []
    assert result["datasource"].startswith("DataSourceConfigDrive [net,ver=2][source=/dev/vdb")
    assert seen.told["finished"] == "/var/lib/cloud/instance/boot-finished"


def test_nothing_failed(seen: Seen) -> None:
    assert seen.told["failed"] == ""


def test_the_instance_is_the_machine(seen: Seen) -> None:
    assert seen.told["instance"] == seen.told["machine"] == seen.record["uuid"]


def test_the_host_name_is_the_metadatas(seen: Seen) -> None:
    assert seen.told["host name"] == "deb"


def test_the_users_metadata_is_there(seen: Seen) -> None:
    assert seen.told["flavour"] == "salty"


def test_the_user_data_was_carried_out(seen: Seen) -> None:
    assert seen.told["written"].split("\n") == ["by write_files", "by runcmd"]


def test_the_network_is_by_dhcp(seen: Seen) -> None:
    cards = {each["address"]: each for each in json.loads(seen.told["network"])}
    card = cards[seen.record["mac"]]
    (address,) = (each for each in card["addr_info"] if each["family"] == "inet")
    assert (address["local"], address["prefixlen"]) == ("192.168.254.2", 30)
    assert card["mtu"] == MTU
    (route,) = json.loads(seen.told["route"])
    assert (route["gateway"], route["protocol"]) == ("192.168.254.1", "dhcp")
    assert "10.96.0.10" in seen.told["resolver"]


def test_the_root_filesystem_has_grown(seen: Seen) -> None:
    assert int(seen.told["root"]) > 2.5 * GIB


def test_the_guest_agent_answers(seen: Seen) -> None:
    assert seen.agent == {"return": {}}


def test_it_shuts_down_cleanly(seen: Seen) -> None:
    assert seen.end.status == 0, seen.end.log
    assert "the guest agent shuts the guest down" in seen.end.log
    assert seen.verdict == Verdict(is_clean=True, is_sound=True)
