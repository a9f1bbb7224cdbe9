"""The base that the settings ask for: found, or fetched, proved and put in place.

Only what passed every check gets a name that others look for, so a fetch that dies at any moment
leaves nothing that could be mistaken for a base.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from launcher.host.account import Account
from launcher.host.errors import ImageRefused, InputMissing
from launcher.image import progress, space, sums, temporary, transfer
from launcher.image.base import Base
from launcher.image.format import content, foreign, policy, qcow2, qemu_img
from launcher.image.format.content import Kind
from launcher.image.source.anew import anew
from launcher.image.source.kept import kept
from launcher.image.source.opened import opened
from launcher.image.source.terms import Terms
from launcher.image.store import bases
from launcher.image.store.record import Address, Origin
from launcher.image.wanted import Wanted, wanted
from launcher.settings.parse import Checksum
from launcher.settings.source import redact
from launcher.settings.table import Settings

logger = logging.getLogger("startvm")

# The largest list of checksums that distributions publish is a few hundred kilobytes.
MOST_SUMS = 4 << 20


def ensure(
    settings: Settings,
    account: Account | None = None,
    tell: Callable[[str], None] = progress.silent,
) -> Base:
    """The base the settings ask for. There already: no network, a few system calls.

    :param account: the user that qemu-img runs as.
    :param tell: is told what is being done, and how far it is.
    :raise InputMissing: when there is neither a base nor a source, or no file at the source's path.
    :raise SourceUnavailable: when the server has not, or does not deliver, what was asked for.
    :raise ImageRefused: when what came is not an image, not the right one, or not one to trust; or
        when the base that is there was altered.
    :raise StorageError: when the shared volume is full or fails.
    """
    base = bases.find(settings)
    if base is not None:
        return base
    want = wanted(settings)
    if want.source is None:
        raise InputMissing(
            f"IMG_TARGET={want.name!r} names no base in {want.folder}, and IMG_SOURCE is not set",
            hint="set IMG_SOURCE to the image's http(s) address or full path",
        )
    try:
        bases.reserve(want)
        return bases.reuse(want) or _fetch(want, want.source, account, tell)
    except OSError as err:
        raise space.failure(err, want.folder) from err


def _fetch(
    want: Wanted, address: str, account: Account | None, tell: Callable[[str], None]
) -> Base:
    started = time.monotonic()
    tell(f"fetching {want.shown}")
    checksum = _expected(want, address)
    if checksum is None and "://" in address:
        logger.info("IMG_CHECKSUM is not set: %s is taken as it comes", want.shown)
    with (
        kept(want.folder, address, continue_in_place=True) as files,
        temporary.file(want.folder, want.name) as part,
    ):
        arrival = transfer.bring(want, address, checksum, part, tell, files)
        origin = Origin(
            address=Address.of(address),
            digests=arrival.arrived,
            sums=Address.of(checksum.sums_url) if checksum and checksum.sums_url else None,
            fetched=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            size=arrival.source_size,
            mtime_ns=arrival.source_mtime_ns,
        )
        tell(f"checking {want.shown}")
        if arrival.kind is Kind.QCOW2:
            base = _prove(arrival.file, want, arrival.written, origin, account)
        elif arrival.kind is Kind.RAW:
            content.check_raw(arrival.size, _last_sector(arrival.file, arrival.size), want.shown)
            base = _convert(arrival.file, arrival.size, want, origin, account)
        else:
            base = _unfold(arrival.file, arrival.kind, want, origin, account)
    logger.info(
        "%s is ready as %s: %s, a disk of %s, after %s",
        want.name,
        base.path.name,
        progress.size(base.size),
        progress.size(base.virtual_size),
        progress.duration(time.monotonic() - started),
    )
    return base


def _unfold(image: Path, kind: Kind, want: Wanted, origin: Origin, account: Account | None) -> Base:
    with temporary.hidden(want.folder, want.name) as raw:
        logger.info("taking the disk out of the %s image", kind)
        size = foreign.unfold(
            image, kind, raw, most=want.max_size, source=want.shown, account=account
        )
        image.unlink()  # its space may be needed
        return _convert(raw, size, want, origin, account)


def _convert(raw: Path, size: int, want: Wanted, origin: Origin, account: Account | None) -> Base:
    with temporary.file(want.folder, want.name) as part:
        logger.info("turning the raw image into qcow2")
        qemu_img.convert(raw, part, size, want.shown)
        return _prove(part, want, _digest(part), origin, account)


def _prove(part: Path, want: Wanted, digest: str, origin: Origin, account: Account | None) -> Base:
    """Check the qcow2 image at `part`, whose sha256 is `digest`, and put it in place."""
    try:
        header = qcow2.read(part)
    except qcow2.NotQcow2 as err:
        raise ImageRefused(f"{want.shown} is no qcow2 image that can be used: {err}") from err
    policy.judge(header, want.max_size, part.stat().st_size)
    qemu_img.check(part, want.shown, account)
    return bases.adopt(part, want, digest=digest, virtual_size=header.virtual_size, origin=origin)


def _expected(want: Wanted, address: str) -> Checksum | None:
    """The checksum with its digest filled in, from the SUMS file if need be."""
    checksum = want.checksum
    if checksum is None or checksum.digest:
        return checksum
    shown = redact(checksum.sums_url)
    text = anew(lambda _: _read(checksum.sums_url, shown, want.terms)).decode("utf-8", "replace")
    digest = sums.look_up(text, checksum.algorithm, sums.file_name(address), shown)
    return checksum._replace(digest=digest)


def _read(url: str, shown: str, terms: Terms) -> bytes:
    data = b""
    with opened(url, "IMG_CHECKSUM", terms) as stream:
        for chunk in stream.chunks:
            data += chunk
            if len(data) > MOST_SUMS:
                raise ImageRefused(f"IMG_CHECKSUM={shown} is too large for a list of checksums")
    return data


def _last_sector(path: Path, size: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, size - content.SECTOR))
        return file.read(content.SECTOR)


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
