"""An example, installed by the commands in its comment as somebody who reads it would."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from tests.chart.examples import FOLDER, Example
from tests.cluster.namespaces import Namespace
from tests.cluster.release import Defaults, Values
from tests.pods.ssh import Client

# Seconds for all commands of one example. An image may be copied among them.
PATIENCE = 120


def different(example: Values, defaults: Defaults, memory: str) -> dict[str, Any]:
    """All that is not as the example says, here: emulated VMs with little memory, and images and
    a launcher that are served here."""

    def of_vm(values: Values) -> dict[str, Any]:
        vm: dict[str, Any] = {"vm": {"cpus": 1, "memory": memory}, "kvm": "off"}
        # A path leads to something that the example brings along.
        if not values.get("image", {}).get("source", "").startswith("/"):
            vm["image"] = defaults.needed["image"]
        return vm

    vms = {name: of_vm(values) for name, values in example.get("vms", {}).items()}
    launcher = {"launcher": defaults.needed["launcher"]}
    return {**launcher, **of_vm(example), **({"vms": vms} if vms else {})}


class Installed(NamedTuple):
    """The release of an example. Methods that have a `pod` mean the first VM unless told."""

    example: Example
    namespace: Namespace
    defaults: Defaults

    def get(self, *what: str) -> Any:
        return json.loads(self.namespace.kubectl("get", *what, "--output=json"))

    def pods(self) -> list[Any]:
        selector = f"app.kubernetes.io/instance={self.example.release}"
        return list(self.get("pods", f"--selector={selector}")["items"])

    def client(self, pod: str = "", user: str = "root") -> Client:
        pod = pod or self.pods()[0]["metadata"]["name"]
        address = self.namespace.get(f"pod/{pod}", ".status.podIP")
        known_hosts = self.defaults.folder / f"{self.namespace.name}.known_hosts"
        return Client(None, address, self.defaults.key, known_hosts, alias=pod)

    def ssh(self, command: str, pod: str = "") -> str:
        return self.client(pod).run(command).decode().strip()

    def wait(self, seconds: float) -> None:
        """Wait until all its VMs are ready."""
        for each in self.get("statefulset")["items"]:
            for index in range(each["spec"]["replicas"]):
                pod = f"pod/{each['metadata']['name']}-{index}"
                self.namespace.wait(pod, "condition=Ready", seconds)


def install(
    example: Example, namespace: Namespace, defaults: Defaults, folder: Path, memory: str
) -> Installed:
    """Run the commands in a folder that looks like a checkout, by a user with a key in the usual
    place and the namespace as the current one. `folder` can hold files of theirs."""
    values = folder / "different.json"
    values.write_text(json.dumps(different(example.values, defaults, memory)), "utf-8")
    for name in ("chart", "examples"):
        (folder / name).symlink_to(FOLDER.parent / name)
    *before, last = example.commands
    script = "\n".join(["set -eu", *before, f"{last} --values {shlex.quote(str(values))}"])
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=_environment(namespace, defaults, folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return Installed(example, namespace, defaults)


def _environment(namespace: Namespace, defaults: Defaults, folder: Path) -> dict[str, str]:
    (folder / ".ssh").mkdir()
    shutil.copy(defaults.key.path.with_suffix(".pub"), folder / ".ssh/id_ed25519.pub")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(0o600)
    kubeconfig.write_text(
        namespace.target.kubectl("config", "view", "--flatten", "--minify", "--raw")
    )
    here = (f"--kubeconfig={kubeconfig}", "--current", f"--namespace={namespace.name}")
    namespace.target.kubectl("config", "set-context", *here)
    return {**namespace.target.environment, "HOME": str(folder), "KUBECONFIG": str(kubeconfig)}
