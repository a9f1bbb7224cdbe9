"""Namespaces of a test's own, and what is told of them when it fails."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.cluster.target import PATIENCE, CommandError, Target

# Seconds for all pods of a namespace to end.
END_PATIENCE = 240
LOG_LINES = 80

# Pod Security's label.
ENFORCE = "pod-security.kubernetes.io/enforce"

_open: "list[Namespace]" = []


@dataclass(frozen=True)
class Namespace:
    """kubectl and helm work in it without being told."""

    target: Target
    name: str

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = PATIENCE) -> str:
        """:raise CommandError: when it fails or takes too long."""
        return self.target.kubectl("-n", self.name, *arguments, stdin=stdin, timeout=timeout)

    def helm(self, *arguments: str, stdin: str = "", timeout: float = PATIENCE) -> str:
        """:raise CommandError: when it fails or takes too long."""
        return self.target.helm("-n", self.name, *arguments, stdin=stdin, timeout=timeout)

    def apply(self, manifest: str) -> None:
        self.kubectl("apply", "-f", "-", stdin=manifest)

    def get(self, what: str, field: str) -> str:
        """One field, such as `.status.podIP` of `pod/vm-0`; empty if there is none yet."""
        return self.kubectl("get", what, "-o", f"jsonpath={{{field}}}")

    def wait(self, what: str, condition: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition as `kubectl wait --for` has it; `what` may not exist yet.

        :raise CommandError: when it does not come.
        """
        self.kubectl("wait", what, "--for=create", f"--timeout={seconds:g}s", timeout=seconds + 10)
        self.kubectl(
            "wait", what, f"--for={condition}", f"--timeout={seconds:g}s", timeout=seconds + 10
        )

    def describe(self) -> str:
        """What somebody would look at who has to find out why it does not work."""
        parts = [
            self._said("get", "all,pvc,configmap,secret", "-o", "wide"),
            self._said("describe", "pods,pvc"),
            self._said("get", "events", "--sort-by=.lastTimestamp"),
        ]
        for pod in self._said("get", "pods", "-o", "name").split():
            if pod.startswith("pod/"):
                logs = ("logs", pod, "--all-containers", "--prefix", f"--tail={LOG_LINES}")
                parts.append(f"--- {pod}\n{self._said(*logs)}")
                if "--previous" not in (before := self._said(*logs, "--previous")):
                    parts.append(f"--- {pod}, its container before\n{before}")
        return "\n".join(parts)

    def _said(self, *arguments: str) -> str:
        try:
            return self.kubectl(*arguments, timeout=30)
        except CommandError as error:
            return str(error)


@contextmanager
def namespace(target: Target, level: str = "") -> Iterator[Namespace]:
    """Make a namespace, and delete it with all that is in it, claims included.

    :param level: of Pod Security that is enforced: `restricted`, `baseline`, or none.
    """
    made = Namespace(target, f"berth-{secrets.token_hex(4)}")
    target.kubectl("create", "namespace", made.name)
    try:
        if level:
            target.kubectl("label", "namespace", made.name, f"{ENFORCE}={level}")
        # No pod is admitted before.
        made.wait("serviceaccount/default", "jsonpath={.metadata.name}=default")
        _open.append(made)
        yield made
    finally:
        if made in _open:
            _open.remove(made)
        target.kubectl("delete", "namespace", made.name, "--wait=false")
        # Their disks go with them, so there is nothing to shut down for.
        made.kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false")
        # What takes memory and processors. The rest goes by itself, within ten seconds or so.
        end = ("--for=delete", f"--timeout={END_PATIENCE}s")
        made.kubectl("wait", "pods", "--all", *end, timeout=END_PATIENCE + 10)


def describe_all() -> dict[str, str]:
    """Of each namespace that is there now, what there is to say."""
    return {each.name: each.describe() for each in _open}
