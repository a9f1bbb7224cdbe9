"""The base that the settings ask for: found, or fetched, proved and put in place.

Only what passed every check gets a name that others look for, so a fetch that dies at any moment
leaves nothing that could be mistaken for a base.
"""

import logging
import time
from collections.abc import Callable

from launcher.host import container, memory
from launcher.host.account import Account
from launcher.host.errors import ImageRefused, InputMissing
from launcher.host.timestamp import rfc3339
from launcher.image import progress, space, sums, temporary, transfer
from launcher.image.base import Base
from launcher.image.proof import Proof
from launcher.image.source.anew import anew
from launcher.image.source.kept import kept
from launcher.image.source.opened import opened
from launcher.image.source.terms import Terms
from launcher.image.store import bases, leftovers
from launcher.image.store.following import Clock, once
from launcher.image.store.holding import Lease
from launcher.image.store.lease import TIMING, Timing
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
    *,
    timing: Timing = TIMING,
    boot: str | None = None,
) -> Base:
    """The base the settings ask for. There already: no network, a few system calls.

    Of all that ask for one address at the same time, one fetches it and the others follow.

    :param account: the user that qemu-img runs as.
    :param tell: is told what is being done, and how far it is.
    :param timing: what those who share the volume keep to.
    :param boot: boot id of the kernel that we run under; read from it if not given.
    :raise InputMissing: when there is neither a base nor a source, or no file at the source's path.
    :raise SourceUnavailable: when the server has not, or does not deliver, what was asked for.
    :raise ImageRefused: when what came is not an image, not the right one, or not one to trust; or
        when the base that is there was altered.
    :raise StorageError: when the shared volume is full or fails.
    :raise Busy: when we fetched, were not seen to live, and another one took over.
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
    source = want.source

    def find() -> Base | None:
        return bases.find(settings) or bases.reuse(want)

    def fetch(lease: Lease) -> Base:
        def told(doing: str) -> None:
            lease.tell(doing)
            tell(doing)

        return _fetch(want, source, account, told, lease)

    try:
        bases.reserve(want)
        boot = container.boot_id() if boot is None else boot
        return once(want, source, find, fetch, tell, timing=timing, boot=boot, clock=Clock())
    except OSError as err:
        raise space.failure(err, want.folder) from err


def _fetch(
    want: Wanted,
    address: str,
    account: Account | None,
    tell: Callable[[str], None],
    lease: Lease,
) -> Base:
    started = time.monotonic()
    memory.share_heaps()
    tell(f"fetching {want.shown}")
    deadline = started + want.terms.patience
    checksum = _expected(want, address, deadline)
    if checksum is None and "://" in address:
        logger.info("IMG_CHECKSUM is not set: %s is taken as it comes", want.shown)
    with kept(
        want.folder,
        address,
        continue_in_place=lease.continue_in_place,
        check=lease.check,
    ) as files:
        if lease.continue_in_place:
            but = (files.data, files.listing)
            for path, err in leftovers.remove(want.folder, files.key, but=but):
                logger.warning("%s, of an earlier fetch, stays: %s", path, err.strerror or err)
        with temporary.file(want.folder, files.stem) as part:
            arrival = transfer.bring(want, address, checksum, part, tell, files, deadline)
            origin = Origin(
                address=Address.of(address),
                digests=arrival.arrived,
                sums=Address.of(checksum.sums_url) if checksum and checksum.sums_url else None,
                fetched=rfc3339(),
                stamp=arrival.stamp,
            )
            tell(f"checking {want.shown}")
            base = Proof(want, files.stem, origin, account, lease.check).of(arrival)
    logger.info(
        "%s is ready as %s: %s, a disk of %s, after %s",
        want.name,
        base.path.name,
        progress.size(base.size),
        progress.size(base.virtual_size),
        progress.duration(time.monotonic() - started),
    )
    return base


def _expected(want: Wanted, address: str, deadline: float) -> Checksum | None:
    """The checksum with its digest filled in, from the SUMS file if need be."""
    checksum = want.checksum
    if checksum is None or checksum.digest:
        return checksum
    shown = redact(checksum.sums_url)
    text = anew(lambda _: _read(checksum.sums_url, shown, want.terms, deadline), deadline).decode(
        "utf-8", "replace"
    )
    digest = sums.look_up(text, checksum.algorithm, sums.file_name(address), shown)
    return checksum._replace(digest=digest)


def _read(url: str, shown: str, terms: Terms, deadline: float) -> bytes:
    data = b""
    with opened(url, "IMG_CHECKSUM", terms, deadline=deadline) as stream:
        for chunk in stream.chunks:
            data += chunk
            if len(data) > MOST_SUMS:
                raise ImageRefused(f"IMG_CHECKSUM={shown} is too large for a list of checksums")
    return data
