"""IMG_CHECKSUM against what really arrives."""

import hashlib
import json

import pytest

from launcher.host.errors import ImageRefused, SourceUnavailable
from tests.storage.conftest import MIB, Images, Volume
from tests.storage.http_server import Server
from tests.storage.outcomes import refusal


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("style", ["GNU", "binary", "BSD"])
def test_a_list_of_checksums(
    volume: Volume, server: Server, images: Images, algorithm: str, style: str
) -> None:
    body = images.qcow2.read_bytes()
    digest = hashlib.new(algorithm, body).hexdigest()
    line = {
        "GNU": f"{digest}  disk.qcow2",
        "binary": f"{digest} *disk.qcow2",
        "BSD": f"{algorithm.upper()} (disk.qcow2) = {digest}",
    }[style]
    name = f"/{algorithm.upper()}SUMS"
    sums = server.serve(name, f"{line}\n".encode())
    url = server.serve("/disk.qcow2", body)
    base = volume.ensure(url, IMG_CHECKSUM=sums)
    assert server.paths() == [name, "/disk.qcow2"], "the list first: it may not list the file"
    assert volume.ensure(url, IMG_CHECKSUM=sums) == base
    assert volume.ensure(url, IMG_CHECKSUM=f"{algorithm}:{digest}") == base
    assert len(server.requests) == 2
    record = json.loads(base.path.with_suffix(".json").read_text())
    assert record["origins"][0]["arrived"][algorithm] == digest
    assert record["origins"][0]["sums"] == sums


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_wrong_checksum(volume: Volume, server: Server, images: Images, algorithm: str) -> None:
    body = images.qcow2.read_bytes()
    url = server.serve("/disk.qcow2", body)
    wrong = hashlib.new(algorithm, b"something else").hexdigest()
    text = refusal(volume, url, IMG_CHECKSUM=f"{algorithm}:{wrong}")
    assert "has the wrong checksum" in text
    assert wrong in text
    assert hashlib.new(algorithm, body).hexdigest() in text
    sums = server.serve("/SHA256SUMS", f"{'0' * 64}  disk.qcow2\n".encode())
    assert "has the wrong checksum" in refusal(volume, url, IMG_CHECKSUM=sums)


def test_a_checksum_that_nobody_had_asked_for_yet(
    volume: Volume, server: Server, images: Images
) -> None:
    """A sha512 is known only if it was asked for: the image is fetched once more, and proved."""
    body = images.qcow2.read_bytes()
    url = server.serve("/disk.qcow2", body)
    base = volume.ensure(url)
    checksum = f"sha512:{hashlib.sha512(body).hexdigest()}"
    assert volume.ensure(url, IMG_CHECKSUM=checksum) == base
    assert len(server.requests) == 2
    assert volume.ensure(url, IMG_CHECKSUM=checksum) == base
    assert len(server.requests) == 2
    with pytest.raises(ImageRefused, match="wrong checksum"):
        volume.ensure(url, IMG_CHECKSUM="sha256:" + "0" * 64)
    assert volume.ensure(url) == base, "what was there is still there"


def test_lists_that_do_not_help(volume: Volume, server: Server, images: Images) -> None:
    url = server.serve("/disk.qcow2", images.qcow2.read_bytes())
    with pytest.raises(SourceUnavailable, match=r"IMG_CHECKSUM=.*SHA256SUMS answered 404"):
        volume.ensure(url, IMG_CHECKSUM=server.url("/SHA256SUMS"))
    sums = server.serve("/SHA256SUMS", f"{'0' * 64}  other.qcow2\n".encode())
    assert "does not list disk.qcow2" in refusal(volume, url, IMG_CHECKSUM=sums)
    server.serve("/SHA256SUMS", b"<html>")
    assert "no list of sha256 digests" in refusal(volume, url, IMG_CHECKSUM=sums)
    server.serve("/SHA256SUMS", bytes(5 * MIB))
    assert "too large" in refusal(volume, url, IMG_CHECKSUM=sums)
    assert "/disk.qcow2" not in server.paths()
