"""Mistakes in the values: what `kubectl describe` and `kubectl logs` say of them is enough to mend
them, and what was mended comes up by itself."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import pytest

from tests.cluster import namespaces
from tests.cluster.namespaces import Namespace
from tests.cluster.release import (
    BOOT_PATIENCE,
    Defaults,
    Release,
    Values,
    install,
    wait_until,
)
from tests.cluster.target import CommandError, Target

ZEROS = "0" * 64
IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


class Mistake(NamedTuple):
    """`words` are what the launcher says of the values, each a regular expression."""

    values: Values
    words: tuple[str, ...]


MISTAKES = {
    "missing": Mistake(
        {"image": {"source": "http://{server}/no-such.qcow2", "checksum": ""}},
        (r"IMG_SOURCE=http://{server}/no-such\.qcow2 answered 404 .*\(hint: the file is not",),
    ),
    "host": Mistake(
        {"image": {"source": "http://images.invalid/a.qcow2", "checksum": ""}},
        (r"IMG_SOURCE=http://images\.invalid/a\.qcow2 .*its host name does not resolve",),
    ),
    "checksum": Mistake(
        {"image": {"checksum": f"sha256:{ZEROS}"}},
        (rf"IMG_SOURCE=\S+ has the wrong checksum: sha256 is \w{{64}}, IMG_CHECKSUM says {ZEROS}",),
    ),
    "small": Mistake(
        {"vm": {"diskSize": "64Mi"}},
        (r"VM_DISK_SIZE is 67108864 bytes \(64.0 MiB\), and the image's disk has \d+ bytes",),
    ),
    # Both at once, not one after the other.
    "two": Mistake(
        {
            "extraEnv": [
                {"name": "IMG_RAM_MB", "value": "much"},
                {"name": "RUN_DIR", "value": "run"},
            ]
        },
        ("- IMG_RAM_MB='much' is not accepted", "- RUN_DIR='run' is not accepted"),
    ),
}
# Each stops at another point on the way to a disk.
MENDED = ("missing", "checksum", "small")
# A VM that was seen to run need not be given the time to shut down.
QUICK: Values = {"stopTimeout": 2}


class Wrong(NamedTuple):
    """Releases by their names, all of them mistaken."""

    releases: dict[str, Release]
    server: str

    def words(self, name: str) -> list[str]:
        return [each.replace("{server}", self.server) for each in MISTAKES[name].words]


@pytest.fixture(scope="module")
def wrong(cluster: Target, defaults: Defaults) -> Iterator[Wrong]:
    """All at once, as each takes its time to fail."""
    server = defaults.guest.source.split("/")[2]
    with namespaces.namespace(cluster) as namespace:
        releases = {}
        for name, mistake in MISTAKES.items():
            values = json.loads(json.dumps(mistake.values).replace("{server}", server))
            releases[name] = install(defaults, name, values, namespace)
        yield Wrong(releases, server)


def describe(release: Release) -> str:
    return release.namespace.kubectl("describe", f"pod/{release.pod()}")


@pytest.mark.parametrize("name", MISTAKES)
def test_describe_and_logs_say_what_is_wrong(wrong: Wrong, name: str) -> None:
    release = wrong.releases[name]

    def has_failed() -> bool:
        # The container's message, which is kept while it is started again.
        return bool(re.search(r"^ +Message: .*startvm:", describe(release), re.MULTILINE))

    wait_until(has_failed, otherwise=lambda: describe(release))
    for words in wrong.words(name):
        assert re.search(words, describe(release))
        # They may just now be those of another attempt.
        wait_until(partial(says, release, words), 60, release.logs)


def says(release: Release, words: str) -> bool:
    return bool(re.search(words, release.logs()))


def test_mended_they_come_up(wrong: Wrong) -> None:
    for name in MENDED:
        wrong.releases[name].upgrade({})
    for name in MENDED:
        wrong.releases[name].wait_for_ssh()


def wait_until_it_runs(release: Release) -> None:
    """That far a VM gets with claims and an image."""
    release.wait_for_log(f"{release.pod()} is running")


# Another chart's, which a release of the same name may have made before.
OTHER_CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
  labels: {app.kubernetes.io/name: postgresql, app.kubernetes.io/instance: vm}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""


def test_a_class_that_is_not_there(namespace: Namespace, defaults: Defaults) -> None:
    namespace.apply(OTHER_CLAIM)
    if namespace.target.own:
        # Elsewhere a claim may have to wait for a pod.
        namespace.wait("pvc/data", "jsonpath={.status.phase}=Bound")
    release = install(defaults, "vm", {**QUICK, "className": "no-such"}, namespace)
    not_found = 'storageclass.storage.k8s.io "no-such" not found'
    wait_until(lambda: not_found in namespace.kubectl("describe", "pvc"))
    namespace.wait("pod/vm-0", "condition=PodScheduled=false")
    assert "unbound immediate PersistentVolumeClaims" in describe(release)

    with pytest.raises(CommandError) as refusal:
        release.upgrade(QUICK)
    assert 'ReadWriteOnce of class "no-such" to ' in str(refusal.value)
    assert "They are Pending, there is nothing in them yet" in str(refusal.value)
    commands = re.findall(r"^ +((?:helm|kubectl) .*)$", str(refusal.value), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        # As printed, in a shell.
        environment = namespace.target.environment
        subprocess.run(["bash", "-ec", command], env=environment, check=True, timeout=BOOT_PATIENCE)
    assert namespace.kubectl("get", "pvc", "-o", "name").split() == ["persistentvolumeclaim/data"]
    release.upgrade(QUICK)
    wait_until_it_runs(release)


@contextmanager
def no_default_class(cluster: Target) -> Iterator[None]:
    """While it lasts no class is the default one."""
    found = json.loads(cluster.kubectl("get", "storageclass", "-o", "json"))["items"]
    names = [
        each["metadata"]["name"]
        for each in found
        if each["metadata"].get("annotations", {}).get(IS_DEFAULT) == "true"
    ]

    def annotate(value: str) -> None:
        cluster.kubectl("annotate", "--overwrite", "storageclass", *names, f"{IS_DEFAULT}={value}")

    annotate("false")
    try:
        yield
    finally:
        annotate("true")


def test_no_default_class(cluster: Target, namespace: Namespace, defaults: Defaults) -> None:
    if cluster.own is None:
        pytest.skip("on somebody else's cluster the default class is left as it is")
    with no_default_class(cluster):
        release = install(defaults, "vm", QUICK, namespace)
        told = "no storage class is set"
        wait_until(lambda: told in namespace.kubectl("describe", "pvc"))
    # Kubernetes gives a class to claims that wait for one, once there is one.
    wait_until_it_runs(release)


def test_a_container_image_that_is_not_there(namespace: Namespace, defaults: Defaults) -> None:
    values: Values = {"launcher": {"image": {"repository": "localhost:1/no-such"}}}
    release = install(defaults, "vm", {**QUICK, **values}, namespace)
    wait_until(lambda: 'Failed to pull image "localhost:1/no-such:' in describe(release))
    reason = ".status.containerStatuses[0].state.waiting.reason"
    wait_until(
        lambda: namespace.get("pod/vm-0", reason) in {"ErrImagePull", "ImagePullBackOff"},
        otherwise=lambda: describe(release),
    )
    release.upgrade(QUICK)
    wait_until_it_runs(release)


def test_what_the_schema_refuses_leaves_nothing_behind(
    namespace: Namespace, defaults: Defaults
) -> None:
    with pytest.raises(CommandError) as refusal:
        install(defaults, "vm", {"userdata": {"users": []}, "vm": {"cpus": "two"}}, namespace)
    assert "'/userdata': got object, want string" in str(refusal.value)
    assert "'/vm/cpus': got string, want integer" in str(refusal.value)
    assert namespace.kubectl("get", "statefulset,pvc,service,secret", "-o", "name") == ""
