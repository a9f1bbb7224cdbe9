"""Pods with the tiny guest in them. Those tests that only look share one VM in each shape."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Measured
from tests.guests import tiny
from tests.pods.run import Run
from tests.pods.shapes import SHAPES, Shape, Site, site
from tests.pods.ssh import Key, make_key
from tests.pods.vm import Pod, pod
from tests.storage.http_server import Server, running


@dataclass(frozen=True)
class Up:
    """A VM that runs and is not to be stopped."""

    pod: Pod
    run: Run

    def ssh(self, command: str, stdin: bytes = b"") -> str:
        return self.pod.ssh(command, stdin)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="session")
def image() -> Path:
    return tiny.image()


@pytest.fixture
def plain() -> Iterator[Site]:
    with site("plain") as made:
        yield made


@pytest.fixture
def idle(plain: Site, key: Key, image: Path, tmp_path: Path) -> Iterator[Pod]:
    """A pod of the ordinary shape in which nothing was started yet."""
    with pod(plain, tmp_path / "pod", key, image) as made:
        yield made


@pytest.fixture
def server(idle: Pod) -> Iterator[Server]:
    """A web server on the client's address, which the pod reaches."""
    entered = running(host=idle.site.client_ip)
    try:
        yield idle.site.client.call(entered.__enter__)
    finally:
        entered.__exit__(None, None, None)


@pytest.fixture(scope="session", params=SHAPES)
def up(
    request: pytest.FixtureRequest,
    key: Key,
    image: Path,
    tmp_path_factory: pytest.TempPathFactory,
    measured: Measured,
) -> Iterator[Up]:
    shape: Shape = request.param
    with site(shape) as made, pod(made, tmp_path_factory.mktemp(shape), key, image) as ours:
        run = ours.start()
        seconds = ours.wait_for_ssh(run)
        measured(f"tiny guest, {shape} pod: ssh after {seconds:.1f} s")
        # Whatever else the guest does while it starts is then no concern of any test.
        run.console.wait_for("^tiny login ready")
        yield Up(ours, run)
