"""Nothing is left of a cluster, however it ended.

It is made on a machine of its own, as far as networks and mounts go, so that whatever there is
afterwards is the cluster's.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import programs
from tests.cluster.kubernetes import place, processes
from tests.cluster.kubernetes.cluster import PROGRAMS
from tests.cluster.kubernetes.errors import wait_for
from tests.cluster.kubernetes.tools_image import TOOLS

CHECKOUT = Path(__file__).parents[2]
NAME = f"l{os.getpid()}"
FOLDER = place.ROOT / NAME

# Where the programs write when nobody tells them otherwise. Those of the first line are empty.
EMPTY = ("/run", "/var/lib", "/var/log")
OTHERS = ("/opt/cni", "/opt/containerd", "/tmp/hostpath_pv", "/usr/libexec/kubernetes")

POD = f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: data}}
spec: {{accessModes: [ReadWriteMany], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: disk}}
spec:
  accessModes: [ReadWriteMany]
  volumeMode: Block
  resources: {{requests: {{storage: 10Mi}}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: everywhere}}
spec:
  selector: {{matchLabels: {{app: everywhere}}}}
  template:
    metadata: {{labels: {{app: everywhere}}}}
    spec:
      containers:
        - name: main
          image: {TOOLS}
          ports: [{{containerPort: 80, hostPort: 8080}}]
          volumeMounts: [{{name: data, mountPath: /data}}]
          volumeDevices: [{{name: disk, devicePath: /disk}}]
      volumes:
        - {{name: data, persistentVolumeClaim: {{claimName: data}}}}
        - {{name: disk, persistentVolumeClaim: {{claimName: disk}}}}
"""


@dataclass(frozen=True)
class Machine:
    """Network and mount namespaces; processes and cgroups are those of the real one."""

    init: int
    mounts_before: frozenset[str]

    def argv(self, *argv: str | Path) -> list[str | Path]:
        return ["nsenter", f"--target={self.init}", "--net", "--mount", "--", *argv]

    def run(self, *argv: str | Path, stdin: str = "", status: int = 0) -> str:
        done = subprocess.run(self.argv(*argv), input=stdin, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def cluster(self, *words: str, status: int = 0) -> str:
        """`./dev cluster` in it."""
        python = ("env", f"--chdir={CHECKOUT}", sys.executable, "-m", "tests.cluster.kubernetes")
        return self.run(*python, *words, status=status)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        config = f"--kubeconfig={FOLDER / 'kubeconfig'}"
        return self.run(programs.find("kubectl"), config, *arguments, stdin=stdin)

    def traces(self) -> dict[str, object]:
        """All that a cluster changes."""
        cgroups = Path("/sys/fs/cgroup")
        return {
            "links": self.run("ip", "-brief", "link"),
            "routes": self.run("ip", "route", "show", "table", "all"),
            "addresses": self.run("ip", "-brief", "address"),
            "rules": self.run("nft", "list", "ruleset"),
            "forwarding": self.run("cat", "/proc/sys/net/ipv4/ip_forward"),
            "mounts": self._mounts(),
            "loops": self.loops(),
            "cgroups": [str(path) for path in cgroups.glob(f"**/{place.ROOT.name}/{NAME}")],
            "processes": [str(each) for each in self._processes()],
            "files": self.run("find", *EMPTY, "-mindepth", "1", "-not", "-type", "s"),
            "folders": [name for name in OTHERS if Path(name).exists()],
        }

    def loops(self) -> list[str]:
        """Block devices made of its files: its own, and its kubelets' hold on them."""
        listed = self.run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")
        loops = sorted(line for line in listed.splitlines() if str(FOLDER / "volumes") in line)
        volumes = [line.rpartition("/")[2] for line in loops]
        return [line for line in listed.splitlines() if any(name in line for name in volumes)]

    def _mounts(self) -> list[str]:
        """But for those that were there first, which their owners may remove."""
        return sorted(mounts(self.init) - self.mounts_before)

    def _processes(self) -> Iterator[str]:
        """Those in its network, and any that names or carries the cluster's folder."""
        ours = Path(f"/proc/{self.init}/ns/net").readlink()
        for path in Path("/proc").iterdir():
            with suppress(OSError):
                if not path.name.isdecimal() or int(path.name) == self.init:
                    continue
                command = (path / "cmdline").read_bytes()
                carried = command + (path / "environ").read_bytes()
                if (path / "ns/net").readlink() == ours or str(FOLDER).encode() in carried:
                    yield f"{path.name} {command.decode(errors='replace')}"


def mounts(pid: int) -> frozenset[str]:
    """The lines of mountinfo."""
    return frozenset(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


# What is in memory holds no images: $2, which is below one of the folders, is on the disk.
SCRIPT = """\
disk=$1 root=$2
shift 2
for folder; do mount -t tmpfs empty "$folder"; done
mkdir "$root"
mount --bind "$disk" "$root"
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_forward
echo ready
exec sleep infinity
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    programs.prepare(*PROGRAMS)
    argv = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", SCRIPT, "init"]
    with subprocess.Popen([*argv, tmp_path, place.ROOT, *EMPTY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        made = Machine(process.pid, mounts(process.pid))
        try:
            yield made
        finally:
            with suppress(AssertionError):
                made.cluster("down", NAME)
            process.kill()


def kill(*roles: str) -> None:
    """Kill -9 what was started as one of these, all at once."""
    found = [each for each in processes.running(FOLDER) if each.role in roles]
    assert {each.role for each in found} == set(roles)
    for each in found:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("killed", "policy"),
    # Docker leaves a machine that forwards nothing it was not told of.
    [(False, "DROP"), (True, "ACCEPT")],
    ids=["whole, behind a firewall", "killed"],
)
def test_nothing_is_left(machine: Machine, killed: bool, policy: str) -> None:
    machine.run("iptables", "-P", "FORWARD", policy)
    before = machine.traces()
    machine.cluster("up", NAME)
    during = machine.traces()
    rules = [f"-A FORWARD {option} bc-{NAME} -j ACCEPT" for option in ("-o", "-i")]
    said = machine.run("iptables", "-S", "FORWARD").splitlines()
    assert said == [f"-P FORWARD {policy}", *(rules if policy == "DROP" else [])]
    machine.kubectl("apply", "-f", "-", stdin=POD)
    # What "rollout status" says is true of no pods at all, too.
    on_both = "--for=jsonpath={.status.numberReady}=2"
    machine.kubectl("wait", "daemonset/everywhere", on_both, "--timeout=60s")
    # A file, and for each of the nodes its kubelet's hold on it.
    assert len(machine.loops()) == 3
    if killed:
        # All of the control plane, the first process of a node, and of the other node what would
        # clean up after its pods.
        kill("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "coredns")
        kill("volumes", "www", "node0-init", "node1-containerd", "node1-kubelet")
    machine.cluster("down", NAME)
    assert machine.traces() == before
    # What is looked at would show a cluster.
    differ = {name for name in before if during[name] != before[name]}
    assert differ == before.keys() - {"mounts", "loops", "folders"}


def test_what_was_killed_is_made_anew(machine: Machine) -> None:
    before = machine.traces()
    python = ("env", f"--chdir={CHECKOUT}", sys.executable, "-m", "tests.cluster.kubernetes")
    with subprocess.Popen(machine.argv(*python, "up", NAME), stderr=subprocess.DEVNULL) as first:
        roles = {"kube-apiserver", "node0-containerd"}
        wait_for("half a cluster", lambda: roles <= _roles(), 60)
        # `nsenter` and `env` have become the program itself.
        first.kill()
    assert "was left half made: made anew" in machine.cluster("up", NAME)
    assert machine.cluster("status") == f"{NAME}: well\n"
    whole = processes.running(FOLDER)
    assert "runs already" in machine.cluster("up", NAME)
    assert {each.pid for each in processes.running(FOLDER)} == {each.pid for each in whole}

    kill("kube-scheduler")
    assert machine.cluster("status", status=1) == f"{NAME}: no kube-scheduler\n"
    assert "there is no kube-scheduler: made anew" in machine.cluster("up", NAME)
    assert machine.cluster("status") == f"{NAME}: well\n"
    machine.cluster("down", NAME)
    assert machine.traces() == before


def test_start_that_fails_says_why_and_leaves_nothing(machine: Machine) -> None:
    # Somebody else's server has the port on every address.
    listen = "import socket; s = socket.socket(); s.bind(('', 6443)); s.listen(); print(flush=True)"
    argv = machine.argv(sys.executable, "-c", f"{listen}; import time; time.sleep(600)")
    before = machine.traces()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        said = machine.cluster("up", NAME, status=1)
        other.kill()
    assert "kube-apiserver ended" in said
    assert "address already in use" in said
    assert machine.traces() == before


def test_down_without_a_cluster_is_fine(machine: Machine) -> None:
    before = machine.traces()
    machine.cluster("down", NAME)
    assert machine.traces() == before


@pytest.mark.parametrize("name", ["", "Upper", "with-dash", "much-too-long-a-name", "../x"])
def test_name_that_will_not_do(machine: Machine, name: str) -> None:
    assert "a cluster cannot be called" in machine.cluster("up", name, status=1)


def _roles() -> set[str]:
    return {each.role for each in processes.running(FOLDER)}
