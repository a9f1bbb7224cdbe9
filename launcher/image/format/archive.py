"""The one disk in a tar archive (an OVA is one, too), while the archive arrives.

An archive is hostile input like any other. Nothing is extracted: names of members are shown and
never used, and links, devices and folders hold no bytes that anybody would read. What a member is
is told by its bytes. tarfile takes headers of any size and number into memory, so both are counted
here before it sees them.
"""

import io
import tarfile
from collections.abc import Iterator
from typing import IO

from launcher.host.errors import ImageRefused
from launcher.image.format import content
from launcher.image.format.content import Kind, NotADisk
from launcher.image.progress import size as shown_size

BLOCK = 1 << 20

# An appliance has a handful of members. What has more is a system's files, not its disk.
MOST_MEMBERS = 200

# All headers together, with what tarfile reads ahead of itself. Most of it is for the map of a
# sparse file, of which 24 bytes describe one piece of data.
READ_AHEAD = tarfile.RECORDSIZE
MOST_HEADERS = 4 << 20

# Names are of any length. As many are told as anybody would read.
SHOWN_NAME = 60
SHOWN_NAMES = 8

# Besides its own errors tarfile raises those of int(), of slices and of its recursion.
DAMAGED = (tarfile.TarError, ValueError, LookupError, OverflowError, EOFError, RecursionError)


def disk(chunks: Iterator[bytes], source: str, most: int) -> Iterator[bytes]:
    """The bytes of the only disk in the archive that `chunks` are; all of `chunks` are taken.

    That it is the only one is known when the iterator ends.

    :param most: bytes of the largest member that is accepted.
    :raise ImageRefused: when there is none or a second one, when a member is packed or is part of a
        disk, or when the archive is damaged. What `chunks` raises goes through.
    """
    arriving = _Arriving(chunks, source)
    try:
        with tarfile.open(fileobj=arriving, mode="r|", bufsize=READ_AHEAD) as archive:
            yield from _only_disk(archive, arriving, source, most)
    except DAMAGED as err:
        raise ImageRefused(f"{source}: its tar archive is damaged: {err}") from err
    for _ in chunks:  # padding; its count and its hash still matter
        pass


class _Arriving(io.RawIOBase):
    """The file that tarfile reads. `headers_left`: how many bytes of headers it may still have."""

    def __init__(self, chunks: Iterator[bytes], source: str) -> None:
        super().__init__()
        self._chunks = chunks
        self._source = source
        self._rest = memoryview(b"")
        self.headers_left = MOST_HEADERS
        self.in_headers = True

    def read(self, size: int = -1, /) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        found = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        if self.in_headers:
            self.headers_left -= len(found)
            if self.headers_left < 0:
                raise ImageRefused(
                    f"{self._source}: the headers of its tar archive take more than "
                    f"{MOST_HEADERS} bytes"
                )
        return found


def _only_disk(
    archive: tarfile.TarFile, arriving: _Arriving, source: str, most: int
) -> Iterator[bytes]:
    found = ""
    others: list[str] = []
    for member, blocks in _files(archive, arriving, source):
        name = _shown(member.name)
        if member.size > most:
            raise ImageRefused(
                f"{source}: the member {name} claims {member.size} bytes "
                f"({shown_size(member.size)}); IMG_MAX_SIZE accepts {shown_size(most)}"
            )
        head, blocks = content.peek(blocks)
        try:
            content.identify(head, f"{source}: the member {name}", Kind.TAR)
        except NotADisk:
            # Its holes are as large as it likes, and would be read as zeros to be skipped.
            if member.issparse():
                raise
            others.append(name)
            for _ in blocks:
                pass
            continue
        if found:
            raise ImageRefused(
                f"{source} is a tar archive with more than one disk: {found} and {name}",
                hint="an archive with exactly one is accepted: take the one that boots out of it",
            )
        found = name
        yield from blocks
    if not found:
        raise ImageRefused(
            f"{source} is a tar archive without a disk; in it: {_listed(others)}",
            hint=content.ACCEPTED_HINT,
        )


def _files(
    archive: tarfile.TarFile, arriving: _Arriving, source: str
) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes]]]:
    """Each ordinary file and its bytes, which have to be taken before the next one is."""
    count = 0
    while (member := archive.next()) is not None:
        count += 1
        if count > MOST_MEMBERS:
            raise ImageRefused(
                f"{source} is a tar archive of more than {MOST_MEMBERS} members",
                hint="the files of a system cannot be booted; an archive of its disk can",
            )
        # It would keep all of them, each with all that the archive's headers say of every file.
        vars(archive)["members"].clear()
        arriving.in_headers = False
        if member.size < 0:  # older tarfile takes that as it is
            raise tarfile.ReadError("a member has less than no bytes")
        file = archive.extractfile(member) if member.isfile() else None
        if file is not None:
            yield member, _blocks(file)
        arriving.in_headers = True


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN_NAME else f"{name[:SHOWN_NAME]}…")


def _listed(names: list[str]) -> str:
    if not names:
        return "no file at all"
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
