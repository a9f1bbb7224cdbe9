"""Two builds differ in nothing but time stamps."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.containers import contents, image, store
from tests.containers.contents import Contents, File
from tests.containers.engine import Podman

STATUS = "/var/lib/dpkg/status"


def build_again(sources: Path, folder: Path) -> Path:
    """Build in `folder`, with nothing of any build before it."""
    podman = Podman(folder / "containers")
    try:
        image.build(podman, sources, image.REFERENCE)
        return image.save(podman, image.REFERENCE, folder / "image.tar")
    finally:
        podman.remove()


def differences(one: Contents, other: Contents) -> list[str]:
    """Paths of files that are not the same, but for their times; those of configuration too."""
    paths = one.files.keys() | other.files.keys()
    found = [path for path in sorted(paths) if one.files.get(path) != other.files.get(path)]
    if one.configuration["config"] != other.configuration["config"]:
        found.append("the configuration")
    return found


def test_nothing_but_times_differs(sources: Path, archive: Path) -> None:
    """A good verdict is kept: the same image is not built twice again."""
    verdict = store.folder() / f"again-{archive.stem}"
    with store.locked("again"):
        for dead in store.folder().glob(".building-again-*"):
            shutil.rmtree(dead)
        if not verdict.exists():
            with tempfile.TemporaryDirectory(
                dir=store.folder(), prefix=".building-again-"
            ) as folder:
                assert compare(sources, archive, Path(folder)) == []
            verdict.touch()
            store.drop_others("again", keep=verdict)


def compare(sources: Path, archive: Path, folder: Path) -> list[str]:
    one, again = contents.read(archive), build_again(sources, folder)
    other = contents.read(again)
    if one.files[STATUS] != other.files[STATUS]:
        # Debian's archive went on since the first one was built, days ago maybe. It is no reason
        # for two builds of one day to differ.
        second = folder / "second"
        second.mkdir()
        one = contents.read(build_again(sources, second))
    return differences(one, other)


@pytest.mark.parametrize("field", ["mode", "owner", "digest", "target"])
def test_a_difference_would_be_seen(field: str, inside: Contents) -> None:
    path = "/opt/berth/bin/startvm"
    file = inside.files[path]
    values = {**file._asdict(), field: f"another {getattr(file, field)}"}
    changed = File(**values)
    assert differences(inside, inside._replace(files={**inside.files, path: changed})) == [path]
