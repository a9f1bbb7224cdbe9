"""What a VM's pod may do, as the kernel sees it."""

import re
from typing import NamedTuple

import pytest

from tests.cluster.conftest import Web

QEMU_ID = 107
# linux/capability.h's numbers of those that the chart's default has.
CAPABILITIES = {
    "CHOWN": 0,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
    "NET_ADMIN": 12,
    "MKNOD": 27,
}
LAUNCHER = sum(1 << number for number in CAPABILITIES.values())
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


class Process(NamedTuple):
    """`fields` are those of /proc/PID/status."""

    fields: dict[str, list[str]]

    @property
    def name(self) -> str:
        return self.fields["Name"][0]

    def capabilities(self, name: str) -> int:
        return int(self.fields[name][0], 16)


@pytest.fixture(scope="module")
def processes(web: Web) -> dict[str, Process]:
    """Those of the pod by their names."""
    told = web.release.exec("sh", "-c", "cat /proc/[0-9]*/status")
    found = {}
    for status in re.split(r"^(?=Name:)", told, flags=re.MULTILINE)[1:]:
        pairs = (line.partition(":") for line in status.splitlines())
        process = Process({name: rest.split() for name, _, rest in pairs})
        found[process.name] = process
    return found


def test_there_is_nothing_but_what_is_needed(processes: dict[str, Process]) -> None:
    # What looked at them is there, too.
    names = set(processes) - {"sh", "cat", "berth", "python3"}
    assert names == {"tini", "startvm", "dnsmasq", "qemu-system-x86"}


def test_qemu_has_no_right_at_all(processes: dict[str, Process]) -> None:
    qemu = processes["qemu-system-x86"]
    assert qemu.fields["Uid"] == qemu.fields["Gid"] == [str(QEMU_ID)] * 4
    assert {name: qemu.capabilities(name) for name in SETS if name != "CapBnd"} == dict.fromkeys(
        ("CapInh", "CapPrm", "CapEff", "CapAmb"), 0
    )
    assert qemu.capabilities("CapBnd") & ~LAUNCHER == 0


def test_the_launcher_has_what_the_chart_says(processes: dict[str, Process], web: Web) -> None:
    (container,) = web.release.get("pod/web-0")["spec"]["containers"]
    given = container["securityContext"]["capabilities"]
    assert (given["drop"], set(given["add"])) == (["ALL"], set(CAPABILITIES))
    startvm = processes["startvm"]
    assert {name: startvm.capabilities(name) for name in SETS if name != "CapInh"} == {
        "CapPrm": LAUNCHER,
        "CapEff": LAUNCHER,
        "CapBnd": LAUNCHER,
        "CapAmb": 0,
    }


def test_none_can_gain_any(processes: dict[str, Process]) -> None:
    for process in processes.values():
        found = (process.fields["NoNewPrivs"], process.fields["Seccomp"])
        assert found == (["1"], ["2"]), process.name


def test_the_root_file_system_is_read_only(web: Web) -> None:
    mounts = web.release.exec("cat", "/proc/mounts").splitlines()
    (options,) = (words[3] for words in map(str.split, mounts) if words[1] == "/")
    assert "ro" in options.split(",")


def test_nothing_of_the_cluster_is_in_it(web: Web) -> None:
    shown = "ls /run/secrets /var/run/secrets; env"
    told = web.release.exec("sh", "-c", shown).splitlines()
    assert not [line for line in told if "kubernetes.io" in line]
    # Services are told of by DNS. A password in a variable would be seen by all who see the pod.
    assert not [line for line in told if line.startswith("NEIGHBOUR_")]
    assert not [line for line in told if "PASSWORD=" in line]


def test_no_path_of_the_node_is_in_it(web: Web) -> None:
    spec = web.release.get("pod/web-0")["spec"]
    assert not [each for each in spec["volumes"] if "hostPath" in each]
    assert not [name for name in spec if name.startswith("host") and spec[name] is True]
