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


# What depends on the very version: asyncio's ways of ending, and what qemu-img makes of a disk.
OF_VERSIONS = (
    "tests/storage/test_control.py::test_who_comes_at_the_last_moment_is_let_go",
    "tests/storage/test_disk_pet.py::test_new_pet",
    "tests/storage/test_disk_pet.py::test_every_write_has_its_place_beforehand",
    "tests/storage/test_disk_pet.py::test_pet_grows_and_keeps_what_was_written",
)


@pytest.mark.parametrize(
    "tests",
    [("tests/unit",), ("tests/boot/test_options.py",), OF_VERSIONS],
    ids=lambda each: each[0],
)
def test_passes_there(tests: tuple[str, ...], machine: Host, reference: str, lent: Path) -> None:
    """`tests/boot/test_options.py` asks QEMU about each command line that the goldens hold."""
    done = machine.run(
        *("podman", "run", "--rm", "--network=none", "--cap-drop=all", "--workdir", CHECKOUT),
        *(f"--volume={lent}:{CHECKOUT}:ro", f"--env=PYTHONPATH={CHECKOUT}"),
        *("--env=PYTHONDONTWRITEBYTECODE=1", "--env=CI=true"),
        *('--entrypoint=["tini", "--", "python"]', reference),
        *("-m", "pytest", "-p", "no:cacheprovider", "--override-ini=pythonpath=", *tests),
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
