"""Helm, the oldest and the newest that the chart promises to work with, and what it renders."""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.cluster.programs import find

CHART = Path(__file__).parents[2] / "chart"

# The oldest Kubernetes that is promised. Helm without a cluster has to be told one.
OLDEST_KUBERNETES = "1.28.0"

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0fmm5bWBfEVRkcVcFyR1eLbBsXYjbgfQRPLJj6s2Gs me@home"

Object = dict[str, Any]
Values = Mapping[str, Any]


class HelmError(Exception):
    """Helm refused; says what it said."""


class Rendered(NamedTuple):
    """`text`: as Helm printed it, but for the password, which is another one each time."""

    text: str

    @property
    def objects(self) -> list[Object]:
        documents = yaml.load_all(self.text, Loader=yaml.CSafeLoader)
        return [each for each in documents if each]

    def of_kind(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Object:
        found = [
            each for each in self.of_kind(kind) if name is None or each["metadata"]["name"] == name
        ]
        assert len(found) == 1, f"{len(found)} objects of kind {kind} named {name}"
        return found[0]

    def pod(self, vm: str | None = None) -> Object:
        spec: Object = self.one("StatefulSet", vm)["spec"]["template"]["spec"]
        return spec

    def container(self, vm: str | None = None) -> Object:
        container: Object = self.pod(vm)["containers"][0]
        return container

    def environment(self, vm: str | None = None) -> dict[str, str]:
        """The variables that have their value here; others get it from the pod."""
        env = self.container(vm)["env"]
        return {each["name"]: each["value"] for each in env if "value" in each}


class Helm(NamedTuple):
    """`name` of the program: helm, or helm3."""

    name: str

    def run(self, *arguments: str) -> str:
        """What it prints.

        :raise HelmError: when it fails.
        """
        done = subprocess.run([find(self.name), *arguments], capture_output=True, text=True)
        if done.returncode:
            raise HelmError(done.stderr)
        return done.stdout

    def with_values(self, values: Values, *arguments: str) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(dict(values), file)
            file.flush()
            return self.run(*arguments, "--values", file.name)

    def template(
        self, values: Values, release: str = "web", namespace: str = "default"
    ) -> Rendered:
        text = self.with_values(
            values,
            *("template", release, str(CHART), "--namespace", namespace),
            *("--kube-version", OLDEST_KUBERNETES),
        )
        return Rendered(re.sub(r"password: [A-Za-z0-9+/]{11}=", "password: <generated>", text))

    def notes(self, values: Values, release: str = "web", namespace: str = "default") -> str:
        arguments = ("install", release, str(CHART), "--namespace", namespace)
        return self.with_values(values, *arguments, "--dry-run=client").partition("NOTES:\n")[2]

    def refusal(self, values: Values, release: str = "web") -> list[str]:
        """The problems it names, in the chart's words; fails when there are none."""
        try:
            self.template(values, release)
        except HelmError as err:
            return [line.strip() for line in str(err).splitlines() if line.startswith("  - ")]
        raise AssertionError("Helm took these values")


NEWEST = Helm("helm")
OLDEST = Helm("helm3")


@cache
def defaults() -> Rendered:
    """What comes of the two values that a user edits."""
    return NEWEST.template({"sshKey": KEY})
