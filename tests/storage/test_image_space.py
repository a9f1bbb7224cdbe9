"""Volumes that are full: said early where it can be known, and nothing stays behind."""

import gzip
import random
from pathlib import Path

import pytest

from launcher.host.errors import StorageError
from launcher.image import space, transfer
from launcher.image.source import parts
from launcher.image.wanted import wanted
from tests.storage.conftest import MIB, Images, Volume
from tests.storage.http_server import Reply, Server
from tests.storage.outcomes import refusal
from tests.storage.ranged import Ranged

# Ten MiB that do not pack, which start as a disk does.
BODY = bytearray(random.Random(4).randbytes(10 * MIB))
BODY[510:512] = b"\x55\xaa"
DISK = bytes(BODY)


def failure(volume: Volume, url: str) -> str:
    precious = volume.path / "precious"
    precious.write_bytes(b"was here before")
    with pytest.raises(StorageError) as caught:
        volume.ensure(url)
    assert volume.names() == ["precious"]
    assert precious.read_bytes() == b"was here before"
    assert caught.value.exit_code == 74
    return str(caught.value)


def test_what_cannot_fit_is_not_begun(small_volume: Volume, server: Server) -> None:
    url = server.serve("/disk.img", DISK)
    text = failure(small_volume, url)
    assert (
        f"{small_volume.path} has not enough space: {len(DISK)} bytes (10.0 MiB) are needed" in text
    )
    assert "bytes (8.0 MiB) are available" in text
    assert "the shared volume has to grow" in text


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(DISK, chunked=True), id="no length"),
        pytest.param(Reply(gzip.compress(DISK[: 3 * MIB] + b"x" * (9 * MIB))), id="packed"),
    ],
)
def test_what_turns_out_not_to_fit(small_volume: Volume, server: Server, reply: Reply) -> None:
    text = failure(small_volume, server.serve("/disk.img", reply))
    assert f"{small_volume.path} is full: " in text
    assert "were written, more is needed, " in text
    assert "are available" in text


def test_space_taken_by_others_meanwhile(
    small_volume: Volume, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was enough when it was looked at; the message then tells both numbers, too."""
    monkeypatch.setattr(space, "require", lambda folder, needed: None)
    text = failure(small_volume, server.serve("/disk.img", DISK))
    assert f"were written, {len(DISK)} bytes (10.0 MiB) are needed" in text


def test_a_raw_image_whose_qcow2_does_not_fit_beside_it(
    small_volume: Volume, server: Server
) -> None:
    text = failure(small_volume, server.serve("/disk.img", DISK[: 6 * MIB]))
    assert "could not be turned into qcow2" in text
    assert "No space left on device" in text
    assert "the shared volume has to grow" in text


def test_what_fits_is_fetched(small_volume: Volume, server: Server, images: Images) -> None:
    assert small_volume.ensure(
        server.serve("/disk.qcow2", images.qcow2.read_bytes())
    ).path.is_file()


def test_no_shared_volume(volume: Volume, server: Server) -> None:
    volume.path.rmdir()
    with pytest.raises(StorageError, match=r"is not there.*mount the shared volume"):
        volume.ensure(server.url("/disk.qcow2"))
    assert not volume.path.exists()
    assert server.requests == []


def test_zeros_take_no_space_on_their_way(volume: Volume, server: Server) -> None:
    """A raw image of a large, empty disk is mostly zeros, and its raw form is there only to go."""
    disk = DISK[:MIB] + bytes(64 * MIB) + DISK[-MIB:] + bytes(5 * MIB)
    url = server.serve("/disk.img", disk)
    part = volume.path / "disk.part"
    arrival = transfer.bring(wanted(volume.settings(url)), url, None, part)
    assert arrival.size == len(disk)
    assert part.read_bytes() == disk
    assert part.stat().st_blocks * 512 < 8 * MIB


@pytest.mark.parametrize("in_parts", [False, True])
def test_what_is_too_large_is_told_by_its_length(
    small_volume: Volume, server: Server, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    """Before anything is written, and whether or not there is space for it."""
    monkeypatch.setattr(parts, "PART", MIB)
    ranged = Ranged(DISK)
    server.replies["/disk.img"] = ranged if in_parts else Reply(DISK)
    text = refusal(small_volume, server.url("/disk.img"), IMG_MAX_SIZE="9M")
    assert "has 10485760 bytes (10.0 MiB); IMG_MAX_SIZE accepts 9.0 MiB" in text
    assert len(server.requests) == 1


def test_a_file_that_is_too_large_is_told_by_its_length(volume: Volume, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(DISK)
    text = refusal(volume, path, IMG_MAX_SIZE="9M")
    assert f"IMG_SOURCE='{path}' has 10485760 bytes (10.0 MiB); IMG_MAX_SIZE accepts" in text
