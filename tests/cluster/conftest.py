"""A cluster, Berth's image on it, a namespace for each test, and guests to install."""

import os
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.cluster import namespaces
from tests.cluster.namespaces import Namespace
from tests.cluster.release import Defaults, Release, Values, install
from tests.cluster.served import Guests
from tests.cluster.target import IMAGE, Target, target
from tests.pods.ssh import Key, make_key

Command = Callable[..., str]


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
def installed(defaults: Defaults, namespace: Namespace) -> Callable[[str, Values], Release]:
    """Installs a release in the test's namespace, with these values on top of a small VM's."""
    return lambda name, values: install(defaults, name, values, namespace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when != "teardown":
        for name, text in namespaces.describe_all().items():
            report.sections.append((f"namespace {name}", text))
    return report
