"""A release of the chart, installed, changed and asked by `helm` and `kubectl` as by its user."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster.namespaces import Namespace
from tests.cluster.served import Guest
from tests.cluster.target import CommandError
from tests.pods.ssh import Client, Key

CHART = Path(__file__).parents[2] / "chart"

# Seconds for a VM to boot, or to stop. It takes a few; on a busy machine many times that.
BOOT_PATIENCE = 300.0

Values = Mapping[str, Any]


class Defaults(NamedTuple):
    """What a release has unless its values say otherwise.

    :param image: reference of the container image.
    :param key: logs in to the guest.
    :param folder: for values files, and for the host keys that were seen.
    """

    image: str
    guest: Guest
    key: Key
    folder: Path

    @property
    def needed(self) -> Values:
        """What no VM can do without here."""
        repository, _, tag = self.image.rpartition(":")
        return {
            "sshKey": self.key.public,
            "image": {"source": self.guest.source, "checksum": self.guest.checksum},
            "launcher": {"image": {"repository": repository, "tag": tag}},
        }

    @property
    def small(self) -> Values:
        """A VM as small as the tiny guest."""
        vm = {"memory": "192Mi", "diskSize": "512Mi"}
        return {**self.needed, "vm": vm, "shared": {"size": "1Gi"}}


class Release(NamedTuple):
    """A release with one kind of VM has its pods at `<name>-0` and so on. Where a method has a
    `pod`, it is the first one of these unless said otherwise."""

    namespace: Namespace
    name: str
    defaults: Defaults

    def upgrade(self, values: Values, *options: str) -> str:
        """Install the release or upgrade it: with these values on top of those of a small VM, and
        with none of those that it had before. Returns what Helm says.

        :raise CommandError: when Helm refuses.
        """
        return self.helm("upgrade", "--install", overlaid(self.defaults.small, values), *options)

    def helm(self, *words: str | Values) -> str:
        """Run `helm install` or its like on this release and chart, for words such as
        `"upgrade", "--install", values`. Returns what it says."""
        command: list[str] = []
        for word in words:
            if isinstance(word, str):
                command.append(word)
                continue
            file = self.defaults.folder / f"{self.namespace.name}-{self.name}.values.json"
            file.write_text(json.dumps(word), encoding="utf-8")
            command.append(f"--values={file}")
        return self.namespace.helm(*command, self.name, str(CHART))

    def uninstall(self) -> None:
        """Remove it and wait until its pods are gone. Claims stay."""
        self.namespace.helm("uninstall", self.name, "--wait", timeout=BOOT_PATIENCE)

    def pods(self) -> list[Any]:
        """Those of its VMs as the API server has them, in the order of their names."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component=vm"
        return list(self.get("pods", f"--selector={selector}")["items"])

    def get(self, *what: str) -> Any:
        """Objects of the namespace, such as `pod/web-0`, as the API server has them."""
        return json.loads(self.namespace.kubectl("get", *what, "--output=json"))

    def pod(self, pod: str = "") -> str:
        return pod or f"{self.name}-0"

    def uid(self, pod: str = "") -> str:
        """What tells a pod from another one that had its name before."""
        return self.namespace.get(f"pod/{self.pod(pod)}", ".metadata.uid")

    def address(self, pod: str = "") -> str:
        """The pod's, once it has one."""
        what = f"pod/{self.pod(pod)}"
        ask = ("get", what, "--ignore-not-found", "-o", "jsonpath={.status.podIP}")
        # Most often it has one, and asking is cheaper than waiting.
        if found := self.namespace.kubectl(*ask):
            return found
        self.namespace.wait(what, "jsonpath={.status.podIP}", BOOT_PATIENCE)
        return self.namespace.kubectl(*ask)

    def wait_ready(self, *pods: str, seconds: float = BOOT_PATIENCE) -> None:
        """Wait until Kubernetes calls these pods ready."""
        for pod in pods or [self.pod()]:
            self.namespace.wait(f"pod/{pod}", "condition=Ready", seconds)

    def wait_for_another(self, uid: str, pod: str = "") -> Client:
        """Wait until another pod than the one with this uid has its name and serves ssh."""
        ask = ("get", f"pod/{self.pod(pod)}", "--ignore-not-found", "-o=jsonpath={.metadata.uid}")
        wait_until(lambda: self.namespace.kubectl(*ask) not in ("", uid))
        return self.wait_for_ssh(pod)

    def client(self, pod: str = "") -> Client:
        """ssh to where the pod is now. A VM is the same host wherever its pod comes up: a host key
        that changes is refused."""
        known_hosts = self.defaults.folder / f"{self.namespace.name}.known_hosts"
        return Client(None, self.address(pod), self.defaults.key, known_hosts, alias=self.pod(pod))

    def wait_for_ssh(self, pod: str = "", seconds: float = BOOT_PATIENCE) -> Client:
        """Wait until the VM serves ssh."""
        client = self.client(pod)
        client.wait(seconds)
        return client

    def ssh(self, command: str, pod: str = "") -> str:
        """Run a shell command in the guest. Returns what it wrote to stdout, without the last
        line's end."""
        return self.client(pod).run(command).decode().removesuffix("\n")

    def logs(self, pod: str = "", *options: str) -> str:
        """Our own lines and the guest's console."""
        return self.namespace.kubectl("logs", self.pod(pod), *options)

    def wait_for_log(self, words: str, pod: str = "", seconds: float = BOOT_PATIENCE) -> None:
        """Wait until the log has these words; there may be no container yet."""

        def said() -> str:
            try:
                return self.logs(pod)
            except CommandError as error:
                return str(error)

        wait_until(lambda: words in said(), seconds, said)

    def exec(self, *argv: str, pod: str = "", stdin: str = "") -> str:
        """Run a program beside the VM. Returns what it wrote to stdout."""
        words = ["--stdin"] if stdin else []
        return self.namespace.kubectl("exec", *words, self.pod(pod), "--", *argv, stdin=stdin)


def install(
    defaults: Defaults, name: str, values: Values, namespace: Namespace, *options: str
) -> Release:
    """Install a release with these values on top of those of a small VM. It ends with its
    namespace."""
    release = Release(namespace, name, defaults)
    release.upgrade(values, *options)
    return release


def wait_until(
    condition: Callable[[], bool],
    seconds: float = BOOT_PATIENCE,
    otherwise: Callable[[], str] = lambda: "",
) -> None:
    """Ask until it is so; `otherwise` is what to show when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s:\n{otherwise()}"
        time.sleep(0.2)


def overlaid(below: Values, above: Values) -> dict[str, Any]:
    """Values on top of others, as Helm lays a file over the one before it."""
    both = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], Mapping) and isinstance(above[name], Mapping):
            both[name] = overlaid(below[name], above[name])
    return both
