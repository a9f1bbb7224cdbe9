"""The container's image, built from this checkout's Dockerfile as anybody would build it."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import launcher
from tests.containers import base, engine, machine, store
from tests.containers.engine import Podman
from tests.guests import cache

ROOT = Path(__file__).parents[2]
NAME = "localhost/berth"
REFERENCE = f"{NAME}:{launcher.__version__}"

# What the image is made of, as .dockerignore has it.
_FILES = (".dockerignore", "Dockerfile", "LICENSE", "README.md", "pyproject.toml")
_FOLDERS = {"launcher": "*.*", "lock": "*.txt"}

# Keeps the layers of the stages before the last one from being removed as nobody's.
_STAGE = "launcher"
_STAGE_REFERENCE = f"{NAME}-{_STAGE}:latest"


def archive() -> Path:
    """A docker-archive of the image, tagged `REFERENCE`; built when the cache has none.

    :raise MissingPackagesError: when it must be built and the tools for it are not installed.
    :raise CommandError: when building it fails.
    """
    with context() as folder:
        return archive_of(folder)


def archive_of(folder: Path) -> Path:
    """The same of the `context` in `folder`."""
    podman = engine.ours()
    target = store.folder() / f"berth-{_key(folder)}.tar"
    with store.locked("berth"):
        if not target.exists():
            cache.make(target, lambda work: _save(podman, folder, work))
            store.drop_others("berth", keep=target)
            podman.run("image", "prune", "--force")
        os.utime(target)
    return target


def loaded(tar: Path) -> str:
    """The id of the image in `tar`, by which it then is in the storage of `engine.ours()`."""
    podman = engine.ours()
    with store.locked("berth"):
        image = _id(tar)
        if image not in podman.run("images", "--quiet", "--no-trunc"):
            podman.run("load", "--quiet", "--input", tar)
        podman.run("tag", image, REFERENCE)
    return image


def _id(tar: Path) -> str:
    """The image's id: the digest of its configuration, which is that file's name."""
    with tarfile.open(tar) as files, files.extractfile("manifest.json") or io.BytesIO() as text:
        (manifest,) = json.load(text)
    return str(manifest["Config"]).removesuffix(".json")


@contextmanager
def context() -> Iterator[Path]:
    """The files as they are now. Those of the checkout may change while we build."""
    with tempfile.TemporaryDirectory(prefix="berth-image-") as folder:
        made = Path(folder)
        for name in _FILES:
            shutil.copy2(ROOT / name, made / name)
        for name, pattern in _FOLDERS.items():
            for path in (ROOT / name).rglob(pattern):
                caches = [each for each in path.parts if each.endswith(("_cache", "__pycache__"))]
                if path.is_file() and not caches:
                    copy = made / path.relative_to(ROOT)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy)
        yield made


def _key(folder: Path) -> str:
    """A hash of all that goes into the image from here, as 16 hex digits."""
    digest = hashlib.sha256(store.digest(base.archive()).encode())
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{store.digest(path)}\n".encode())
    return digest.hexdigest()[:16]


def _save(podman: Podman, folder: Path, work: Path) -> Path:
    build(podman, folder, REFERENCE)
    return save(podman, REFERENCE, work / "image.tar")


def save(podman: Podman, tag: str, tar: Path) -> Path:
    podman.run("save", "--quiet", "--format", "docker-archive", "--output", tar, tag)
    return tar


def build(podman: Podman, folder: Path, tag: str) -> None:
    """Build the context in `folder`, in two steps what `podman build` would build in one.

    The first one has this machine's way to Python's packages mounted, and a mount leaves an empty
    file in what is built. Of its stages folders are taken over, and not those where that file is.
    """
    base.reference(podman)
    common = ["build", "--quiet", "--network=host", "--pull=never"]
    with tempfile.TemporaryDirectory(prefix="berth-machine-") as lent:
        apt = machine.apt(Path(lent))
        pip = machine.pip(Path(lent))
        stage = ["--target", _STAGE, "--tag", _STAGE_REFERENCE]
        podman.run(*common, *apt, *pip, *stage, folder)
        podman.run(*common, *apt, "--tag", tag, folder)
