"""Pets, bases and qcow2 headers made of values alone."""

import struct
from pathlib import Path
from typing import Any

from launcher.disk.record import PetRecord
from launcher.host.container import Container
from launcher.image.base import Base
from launcher.image.format.qcow2 import header as spec
from launcher.image.format.qcow2.header import Header
from launcher.image.store.record import Address
from launcher.settings.load import Surroundings, load
from launcher.settings.table import Settings

GIB = 1 << 30
UUID = "11111111-2222-4333-8444-555555555555"
DIGEST = "ab" * 32
URL = "https://example.org/debian.qcow2"
BASE_PATH = Path(f"/shared/sha256-{DIGEST}.qcow2")


def settings(**environ: str) -> Settings:
    return load({"IMG_SOURCE": URL, **environ}, Surroundings(Container(hostname="web-3")))


BASE = Base(BASE_PATH, DIGEST, 300_000_000, 2 * GIB, URL)
RECORD = PetRecord(
    name="web-3",
    uuid=UUID,
    mac="06:fe:01:02:03:04",
    base_digest=DIGEST,
    base_path=BASE_PATH,
    base_size=300_000_000,
    source=Address(URL),
    created="2026-01-02T03:04:05Z",
)


def base(**changes: Any) -> Base:
    return BASE._replace(**changes)


def record(**changes: Any) -> PetRecord:
    return RECORD._replace(**changes)


def header(
    size: int = 10 * GIB,
    backing: str = str(BASE_PATH),
    backing_format: str = "qcow2",
    incompatible: int = 0,
) -> Header:
    return spec.parse(header_bytes(size, backing, backing_format, incompatible))


def header_bytes(
    size: int = 10 * GIB,
    backing: str = str(BASE_PATH),
    backing_format: str = "qcow2",
    incompatible: int = 0,
) -> bytes:
    """The first cluster of a version 3 overlay with clusters of 64 KiB."""
    fixed, kind = 104, backing_format.encode()
    extension = struct.pack(">II", spec.BACKING_FORMAT, len(kind)) + kind.ljust(8, b"\0")
    name_at = fixed + len(extension) + 8
    fields = [3, name_at if backing else 0, len(backing), 16, size]
    head = struct.pack(">4sIQIIQ", spec.MAGIC, *fields)
    tables = struct.pack(">IIQQIIQ", 0, 16, 3 << 16, 1 << 16, 1, 0, 0)
    features = struct.pack(">QQQII", incompatible, 0, 0, 4, fixed)
    return (head + tables + features + extension + bytes(8) + backing.encode()).ljust(
        1 << 16, b"\0"
    )
