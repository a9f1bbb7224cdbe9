"""What makes a fetch fast: its steps run at once, and the sizes that it works in."""

import gzip
import hashlib
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from launcher.image import transfer
from launcher.image.format import layers
from launcher.image.source.opened import opened
from launcher.image.source.stream import Stream
from launcher.image.wanted import wanted
from tests.storage.conftest import MIB, Volume
from tests.storage.ensuring import PATIENCE
from tests.storage.http_server import Server
from tests.storage.ranged import Ranged


def test_arriving_unpacking_and_writing_at_once(
    volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the three waits, once, until the two others are at work as well. And the last of what
    arrives waits until both digests, of what arrives and of what is in it, are under way."""
    raw = bytearray(random.Random(5).randbytes(24 * MIB))
    raw[510:512] = b"\x55\xaa"
    packed = gzip.compress(raw, 1)
    all_at_work = threading.Barrier(3, timeout=PATIENCE)

    def meeting(chunks: Iterator[bytes], at: int) -> Iterator[bytes]:
        for number, chunk in enumerate(chunks):
            if number == at:
                all_at_work.wait()
            yield chunk

    def arriving() -> Iterator[bytes]:
        *others, last = range(0, len(packed), MIB)
        for start in others:
            yield packed[start : start + MIB]
        of_packed, of_raw = hashes
        assert of_packed.fed >= len(packed) // 2
        assert of_raw.is_halfway.wait(PATIENCE)
        yield packed[last:]

    class Opened:
        def __enter__(self) -> Stream:
            return Stream(meeting(arriving(), 12), len(packed), "downloaded")

        def __exit__(self, *_: object) -> None:
            pass

    def unpacking(chunks: Iterator[bytes], source: str, most: int) -> layers.Disk:
        disk = real_peel(chunks, source, most)
        return disk._replace(chunks=meeting(disk.chunks, 7))

    sha256 = hashlib.sha256

    class Hash:
        def __init__(self) -> None:
            self._real = sha256()
            self.fed = 0
            self.is_halfway = threading.Event()
            hashes.append(self)

        def update(self, data: bytes) -> None:
            self._real.update(data)
            self.fed += len(data)
            if self.fed >= len(raw) // 2:
                self.is_halfway.set()

        def hexdigest(self) -> str:
            return self._real.hexdigest()

    hashes: list[Hash] = []

    real_peel, real_write = layers.peel, transfer._write

    def writing(chunks: Iterator[bytes], part: Path, total: int | None) -> int:
        return real_write(meeting(chunks, 2), part, total)

    monkeypatch.setattr(hashlib, "sha256", Hash)
    monkeypatch.setattr(transfer, "opened", lambda *_, **__: Opened())
    monkeypatch.setattr(layers, "peel", unpacking)
    monkeypatch.setattr(transfer, "_write", writing)
    part = volume.path / "disk.part"
    want = wanted(volume.settings("http://x/disk.gz"))
    arrival = transfer.bring(want, "http://x/disk.gz", None, part)
    assert part.read_bytes() == raw
    assert arrival.arrived == {"sha256": sha256(packed).hexdigest()}
    assert arrival.written == sha256(raw).hexdigest()


def test_parts_of_16_mib_and_reads_of_one(
    volume: Volume, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(b"\0" * 510 + b"\x55\xaa")
    os.truncate(path, 33 * MIB)
    ranged = server.replies["/disk.img"] = Ranged(path.read_bytes())
    reads: set[int] = set()
    real = urllib3.HTTPResponse.read1

    def read1(self: urllib3.HTTPResponse, amt: int, **named: Any) -> bytes:
        reads.add(amt)
        return real(self, amt, **named)

    monkeypatch.setattr(urllib3.HTTPResponse, "read1", read1)
    volume.ensure(server.url("/disk.img"))
    asked = [(first // MIB, end // MIB) for first, end in filter(None, ranged.asked)]
    assert sorted(asked) == [(0, 16), (16, 32), (32, 33)]
    assert max(reads) == MIB
    with opened(str(path), "IMG_SOURCE") as stream:
        assert {len(chunk) for chunk in stream.chunks} == {MIB}
