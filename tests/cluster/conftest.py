"""A cluster, Berth's image on it, a namespace for each test, and guests to install."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import pytest

from tests.cluster import namespaces
from tests.cluster.namespaces import Namespace
from tests.cluster.release import Defaults, Release, Values, install
from tests.cluster.served import Guests
from tests.cluster.target import IMAGE, Target, target
from tests.conftest import Measured
from tests.pods.ssh import Client, Key, make_key

Command = Callable[..., str]
Installer = Callable[[str, Values], Release]


# Kubernetes would tell each pod that starts later of it, in variables, if it were let.
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: neighbour}
spec: {ports: [{port: 80}]}
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Target]:
    with target() as made:
        yield made


@pytest.fixture(scope="session")
def image(cluster: Target) -> str:
    """The container image's reference; the nodes have it, or can pull it."""
    if cluster.own is None:
        return os.environ[IMAGE]
    from tests.containers import image

    cluster.own.load(image.archive())
    return image.REFERENCE


@pytest.fixture(scope="session")
def guests(cluster: Target) -> Guests:
    return Guests(cluster)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def namespace(cluster: Target) -> Iterator[Namespace]:
    """For one test. Several that only look can share one: `with namespaces.namespace(cluster)`."""
    with namespaces.namespace(cluster) as made:
        yield made


@pytest.fixture
def kubectl(namespace: Namespace) -> Command:
    """Runs kubectl in the test's namespace; returns its stdout."""
    return namespace.kubectl


@pytest.fixture
def helm(namespace: Namespace) -> Command:
    return namespace.helm


@pytest.fixture(scope="session")
def defaults(
    image: str, guests: Guests, key: Key, tmp_path_factory: pytest.TempPathFactory
) -> Defaults:
    """What releases have that say nothing else: the tiny guest, and a key that logs in."""
    return Defaults(image, guests.tiny, key, tmp_path_factory.mktemp("releases"))


@pytest.fixture
def installed(defaults: Defaults, namespace: Namespace) -> Installer:
    """Installs a release in the test's namespace, with these values on top of a small VM's."""
    return lambda name, values: install(defaults, name, values, namespace)


class Web(NamedTuple):
    """A release with nothing but the two values to edit, and the image; not to be disturbed.

    :param said: by `helm install`.
    """

    release: Release
    class_name: str
    said: str
    client: Client

    def ssh(self, command: str) -> str:
        return self.client.run(command).decode().removesuffix("\n")


@pytest.fixture(scope="session")
def web(cluster: Target, defaults: Defaults, measured: Measured) -> Iterator[Web]:
    with namespaces.namespace(cluster) as namespace:
        namespace.apply(SERVICE)
        # Our own cluster has one as clouds do: no volume before there is a pod for it.
        names = cluster.kubectl("get", "storageclass", "-o", "jsonpath={.items[*].metadata.name}")
        class_name = "late" if cluster.own else names.split()[0]
        release = Release(namespace, "web", defaults)
        begun = time.monotonic()
        said = release.helm("install", {**defaults.needed, "className": class_name})
        client = release.wait_for_ssh()
        seconds = time.monotonic() - begun
        measured(f"helm install: ssh after {seconds:.1f} s")
        release.wait_ready()
        yield Web(release, class_name, said, client)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when != "teardown":
        for name, text in namespaces.describe_all().items():
            report.sections.append((f"namespace {name}", text))
    return report
