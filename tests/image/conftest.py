"""The image, what is in it, and a host with podman to run it on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.containers import contents, image
from tests.containers.contents import Contents
from tests.containers.host import Host, host

Once = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="session")
def sources() -> Iterator[Path]:
    """What the image is made of, as it is when the tests begin."""
    with image.context() as folder:
        yield folder


@pytest.fixture(scope="session")
def archive(sources: Path) -> Path:
    return image.archive_of(sources)


@pytest.fixture(scope="session")
def inside(archive: Path) -> Contents:
    return contents.read(archive)


@pytest.fixture(scope="session")
def reference(archive: Path) -> str:
    """The image in podman's storage, by an id that is this image's for ever."""
    return image.loaded(archive)


@pytest.fixture(scope="session")
def machine() -> Iterator[Host]:
    with host() as made:
        yield made


@pytest.fixture
def once(machine: Host, reference: str) -> Once:
    """Run the image with some arguments and nothing else, to its end.

    >>> once("bash", "-c", "id qemu", options=["--network=none"])
    """

    def run(*arguments: str, options: tuple[str, ...] = ()) -> "CompletedProcess[str]":
        return machine.run("podman", "run", "--rm", *options, reference, *arguments, check=False)

    return run
