"""A disk image as a container image, made as the example `from-registry` tells, on all nodes."""

import shutil
from pathlib import Path

import pytest

from tests.cluster.target import Target
from tests.containers import engine, image


def load(cluster: Target, reference: str, disk: Path, folder: Path) -> None:
    """Put it where pulling `reference` from a registry would put it.

    :param disk: a qcow2 image.
    :param folder: an empty one.
    """
    if cluster.own is None:
        pytest.skip(f"{reference} has to be put on the cluster's nodes")
    podman = engine.ours()
    shutil.copy(disk, folder / "disk.qcow2")
    (folder / "Containerfile").write_text("FROM scratch\nCOPY disk.qcow2 /\n", "utf-8")
    podman.run("build", "--quiet", "--tag", reference, folder)
    cluster.own.load(image.save(podman, reference, folder / "image.tar"))
    podman.run("rmi", reference)
