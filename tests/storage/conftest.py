"""Real files, real qemu-img, a real HTTP server on loopback."""

import hashlib
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from launcher.host import process
from launcher.host.container import Container
from launcher.image import fetch
from launcher.image.base import Base
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings
from tests.storage import http_server, qemu_img_runs, tls, tmpfs
from tests.storage.http_server import Server
from tests.storage.tls import Certificate

MIB = 1 << 20


def qemu_img(*argv: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, argv)], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def careful_qemu_img() -> Iterator[None]:
    """Whatever is tested: the launcher's qemu-img guesses no format, and does not run for ever."""
    with qemu_img_runs.watched():
        yield


@dataclass(frozen=True, slots=True)
class Volume:
    """A shared volume, and settings that use it."""

    path: Path

    def settings(self, source: str | Path | None = None, **environ: str) -> Settings:
        given = {"SHARED_DIR": str(self.path), **environ}
        if source is not None:
            given["IMG_SOURCE"] = str(source)
        return load(given, Surroundings(Container(hostname="pet-0")))

    def ensure(self, source: str | Path | None = None, **environ: str) -> Base:
        return fetch.ensure(self.settings(source, **environ))

    def names(self) -> list[str]:
        return sorted(each.name for each in self.path.iterdir())


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    path = tmp_path / "shared"
    path.mkdir()
    return Volume(path)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Volume]:
    """One of 8 MiB, a file system of its own."""
    path = tmp_path / "small"
    path.mkdir()
    with tmpfs.mounted(path, "size=8m"):
        yield Volume(path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # What this machine itself needs to reach the world must not decide how a test ends.
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with http_server.running() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return tls.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Certificate, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our certificate is one to trust."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))


@dataclass(frozen=True, slots=True)
class Images:
    """A raw disk of 5 MiB, of which 3 MiB do not pack, and the same as qcow2."""

    folder: Path

    @property
    def raw(self) -> Path:
        return self.folder / "disk.img"

    @property
    def qcow2(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def digest(self) -> str:
        """sha256 of the qcow2 image."""
        return hashlib.sha256(self.qcow2.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    made = Images(tmp_path_factory.mktemp("images"))
    disk = bytearray(random.Random(3).randbytes(3 * MIB) + bytes(2 * MIB))
    disk[510:512] = b"\x55\xaa"
    made.raw.write_bytes(disk)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", made.raw, made.qcow2)
    return made


class Replace(Protocol):
    """Has qemu-img be a script of sh from now on."""

    def __call__(self, script: str) -> None: ...


@pytest.fixture
def qemu_img_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replace:
    """What the real one does with no image of ours, or must not be asked to do."""

    def replace(script: str) -> None:
        program = tmp_path / "bin/qemu-img"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        path = f"{program.parent}:{process.ENVIRONMENT['PATH']}"
        monkeypatch.setitem(process.ENVIRONMENT, "PATH", path)

    return replace
