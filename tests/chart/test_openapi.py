"""Every object that is rendered is one that the oldest and the newest Kubernetes know."""

import copy
from typing import Any

import pytest

from tests.chart.helm import NEWEST, defaults
from tests.chart.openapi import RELEASES, problems
from tests.chart.scenarios import SCENARIOS


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_objects_are_known(name: str, release: str) -> None:
    for manifest in NEWEST.template(SCENARIOS[name]).objects:
        assert problems(release, manifest) == [], manifest["metadata"]["name"]


def mutated(path: str, value: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(defaults().one("StatefulSet"))
    here: Any = manifest
    *words, last = path.split(".")
    for word in words:
        here = here[int(word)] if isinstance(here, list) else here[word]
    here[last] = value
    return manifest


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replica", 1),
        ("spec.replicas", "1"),
        ("spec.template.spec.containers.0.livenessprobe", {}),
        ("spec.template.spec.securityContext.runAsUser", "root"),
        ("spec.template.spec.volumes.0.configMap.named", "a"),
        ("apiVersion", "apps/v1beta1"),
    ],
    ids=str,
)
def test_an_object_that_is_not(release: str, path: str, value: Any) -> None:
    assert problems(release, mutated(path, value))
