"""From bytes as they arrive to those of a disk image: out of packing and archive, told by content.

Packed, an archive, or a packed archive: nothing else may be inside of each other.
"""

from collections.abc import Iterator
from typing import NamedTuple

from launcher.host.errors import ImageRefused
from launcher.image.format import content, decode, foreign
from launcher.image.format.content import Kind
from launcher.image.format.qcow2 import header, policy
from launcher.image.progress import size as shown_size


class Disk(NamedTuple):
    """`chunks` are all of an image of `kind`, about 1 MiB each; `is_bare`: as they arrived."""

    kind: Kind
    chunks: Iterator[bytes]
    is_bare: bool


def peel(chunks: Iterator[bytes], source: str, most: int) -> Disk:
    """Tell what `chunks` are and unpack them; all of them are taken with the last of the result.

    Looks at the image's first bytes, so that most of what is refused is before it has arrived.

    :param source: where it came from, for messages; nothing secret.
    :param most: bytes of the largest disk, and of the largest image, that is accepted; packed
        ones have no more, either.
    :raise ImageRefused: when it is no image to trust, as far as its beginning tells; while `chunks`
        are read, when it is damaged or too large.
    """
    # What arrives, too: a packing may hold much that nothing comes out of.
    head, chunks = content.peek(_bounded(chunks, source, most))
    outer = kind = content.identify(head, source)
    if kind in content.PACKINGS:
        head, chunks = content.peek(_bounded(decode.unpack(kind, chunks, source), source, most))
        kind = content.identify(head, source, kind)
    if kind is Kind.TAR:
        from launcher.image.format import archive

        head, chunks = content.peek(archive.disk(chunks, source, most))
        kind = content.identify(head, f"{source}: the disk in it", Kind.TAR)
    if kind is Kind.QCOW2:
        policy.judge(header.readable(head, source), most)
    else:
        foreign.judge_start(kind, head, most)
    return Disk(kind, _bounded(chunks, source, most), kind is outer)


def _bounded(chunks: Iterator[bytes], source: str, most: int) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            raise ImageRefused(
                f"{source} holds more than {shown_size(most)}, and IMG_MAX_SIZE accepts no more"
            )
        yield chunk
