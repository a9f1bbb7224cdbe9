"""Labs for tests: the shape and the NAT backend of each are its test's parameters."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.netns.lab import Lab, lab
from tests.pods.shapes import SHAPES, Shape

BACKENDS = ("nft", "iptables")


@cache
def has_legacy_tables() -> bool:
    """Whether the kernel has iptables' own tables, or can load them."""
    for attempt in ("true", "modprobe -q iptable_nat iptable_filter"):
        script = f"{attempt}; iptables-legacy -t nat -S && iptables-legacy -t filter -S"
        if (
            subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True).returncode
            == 0
        ):
            return True
    return False


def need(backend: str) -> None:
    if backend == "iptables" and not has_legacy_tables():
        pytest.skip("kernel has no legacy iptables")


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    found: Shape = request.param
    return found


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    need(found)
    return found


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Lab]:
    """A lab of the ordinary shape in which nothing runs yet."""
    with lab("plain", tmp_path) as made:
        yield made


@pytest.fixture
def up(shape: Shape, backend: str, tmp_path: Path) -> Iterator[Lab]:
    """A lab with the network up and the VM on it, in both shapes with both backends."""
    with lab(shape, tmp_path) as made:
        made.start({"NAT_BACKEND": backend})
        made.boot()
        yield made
