"""What is in an image: its files as a container would see them, and its configuration."""

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

# Names by which a layer says that something of the layers below is gone (OCI image specification).
_GONE = ".wh."
_ALL_GONE = ".wh..wh..opq"

_PIECE = 1 << 20


class File(NamedTuple):
    """One file, folder or link of an image; everything about it but its time.

    `kind` is tar's letter for its type; `digest` is empty for all but regular files; `start` is
    their first bytes.
    """

    kind: str
    mode: int
    owner: int
    group: int
    target: str
    size: int
    digest: str
    start: bytes


class Layer(NamedTuple):
    """Sizes in bytes, `packed` as registries keep it (gzip)."""

    size: int
    packed: int


class Contents(NamedTuple):
    """An image from a docker-archive. Paths are absolute."""

    configuration: dict[str, Any]
    files: dict[str, File]

    def text(self, tar: Path, path: str) -> str:
        """The text of a file in the image."""
        with tarfile.open(tar) as archive:
            for layer in reversed(list(_layers(archive))):
                with tarfile.open(fileobj=layer) as files:
                    try:
                        found = files.extractfile(path.lstrip("/"))
                    except KeyError:
                        continue
                    if found:
                        return found.read().decode()
        raise FileNotFoundError(path)


def read(tar: Path) -> Contents:
    files: dict[str, File] = {}
    with tarfile.open(tar) as archive:
        configuration = json.loads(_member(archive, _manifest(archive)["Config"]).read())
        for layer in _layers(archive):
            _lay(files, layer)
    return Contents(configuration, files)


def sizes(tar: Path) -> list[Layer]:
    """How big each layer is, the lowest first."""
    with tarfile.open(tar) as archive:
        return [_measured(layer) for layer in _layers(archive)]


def _measured(layer: IO[bytes]) -> Layer:
    packer = zlib.compressobj(wbits=31)
    size = packed = 0
    while piece := layer.read(_PIECE):
        size += len(piece)
        packed += len(packer.compress(piece))
    return Layer(size, packed + len(packer.flush()))


def _lay(files: dict[str, File], layer: IO[bytes]) -> None:
    """Put a layer over what is there."""
    with tarfile.open(fileobj=layer) as members:
        for member in members:
            path = PurePosixPath("/", member.name)
            if path.name == _ALL_GONE:
                _remove_below(files, path.parent)
            elif path.name.startswith(_GONE):
                gone = path.with_name(path.name.removeprefix(_GONE))
                files.pop(str(gone), None)
                _remove_below(files, gone)
            else:
                files[str(path)] = _file(members, member)


def _remove_below(files: dict[str, File], folder: PurePosixPath) -> None:
    for path in [each for each in files if each.startswith(f"{folder}/")]:
        del files[path]


def _file(members: tarfile.TarFile, member: tarfile.TarInfo) -> File:
    content = b""
    if member.isreg() and (file := members.extractfile(member)):
        content = file.read()
    return File(
        kind=member.type.decode(),
        mode=member.mode,
        owner=member.uid,
        group=member.gid,
        target=member.linkname,
        size=member.size,
        digest=hashlib.sha256(content).hexdigest() if member.isreg() else "",
        start=content[:128],
    )


def _manifest(archive: tarfile.TarFile) -> dict[str, Any]:
    (manifest,) = json.loads(_member(archive, "manifest.json").read())
    return dict(manifest)


def _layers(archive: tarfile.TarFile) -> Iterator[IO[bytes]]:
    for name in _manifest(archive)["Layers"]:
        yield _member(archive, name)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.getmember(name)
    if member.issym():
        # A layer that occurs twice is there once.
        return _member(archive, str(PurePosixPath(name).parent / member.linkname))
    return archive.extractfile(member) or io.BytesIO()
