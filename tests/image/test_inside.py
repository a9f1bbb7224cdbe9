"""The image's own Python, libraries and QEMU, which are newer than those of many a machine here."""

from pathlib import Path

import pytest

from tests.containers.host import Host
from tests.image.inside import CHECKOUT, lend


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    lend(folder)
    return folder


TESTS = (
    "tests/unit",
    # It asks QEMU about each command line that the goldens hold.
    "tests/boot/test_options.py",
    # asyncio's ways of ending differ from one Python to the next.
    "tests/storage/test_control.py::test_who_comes_at_the_last_moment_is_let_go",
)


@pytest.mark.parametrize("tests", TESTS)
def test_passes_there(tests: str, machine: Host, reference: str, lent: Path) -> None:
    done = machine.run(
        *("podman", "run", "--rm", "--network=none", "--cap-drop=all", "--workdir", CHECKOUT),
        *(f"--volume={lent}:{CHECKOUT}:ro", f"--env=PYTHONPATH={CHECKOUT}"),
        *("--env=PYTHONDONTWRITEBYTECODE=1", "--env=CI=true"),
        *('--entrypoint=["tini", "--", "python"]', reference),
        *("-m", "pytest", "-p", "no:cacheprovider", "--override-ini=pythonpath=", tests),
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
