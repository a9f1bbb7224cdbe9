"""What arrived becomes a base: turned into qcow2 where it is not, looked through, put in place."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from launcher.host.account import Account
from launcher.host.errors import ImageRefused
from launcher.image import temporary
from launcher.image.base import Base
from launcher.image.format import content, foreign, qemu_img
from launcher.image.format.content import Kind
from launcher.image.format.qcow2 import header, policy, tables
from launcher.image.store import adoption
from launcher.image.store.record import Origin
from launcher.image.transfer import Arrival
from launcher.image.wanted import Wanted

logger = logging.getLogger("startvm")


class Proof(NamedTuple):
    """`stem`: what names of files under way begin with. `origin`: where the image came from.

    `account`: the user that qemu-img runs as. `check`: raises where the fetch is no longer ours.
    """

    want: Wanted
    stem: str
    origin: Origin
    account: Account | None
    check: Callable[[], None]

    def of(self, arrival: Arrival) -> Base:
        """The base that `arrival` makes.

        :raise ImageRefused: when it is none, or not one to trust.
        """
        image, kind = arrival.file, arrival.kind
        if kind is Kind.QCOW2:
            return self._prove(image, arrival.written)
        if kind is Kind.RAW:
            content.check_raw(arrival.size, _last_sector(image, arrival.size), self.want.shown)
            return self._convert(image, arrival.size)
        return self._unfold(image, kind)

    def _unfold(self, image: Path, kind: Kind) -> Base:
        want = self.want
        with temporary.hidden(want.folder, self.stem) as raw:
            logger.info("taking the disk out of the %s image", kind)
            size = foreign.unfold(
                image, kind, raw, most=want.max_size, source=want.shown, account=self.account
            )
            os.truncate(image, 0)  # its space may be needed, and it may have two names
            return self._convert(raw, size)

    def _convert(self, raw: Path, size: int) -> Base:
        with temporary.file(self.want.folder, self.stem) as part:
            logger.info("turning the raw image into qcow2")
            qemu_img.convert(raw, part, size, self.want.shown)
            return self._prove(part, _digest(part))

    def _prove(self, part: Path, digest: str) -> Base:
        """Check the qcow2 image at `part`, whose sha256 is `digest`, and put it in place."""
        want = self.want
        try:
            found = header.read(part)
        except header.NotQcow2 as err:
            raise ImageRefused(f"{want.shown} is no qcow2 image that can be used: {err}") from err
        size = part.stat().st_size
        policy.judge(found, want.max_size, size)
        with part.open("rb") as file:
            tables.judge(file, found, size)
        qemu_img.check(part, want.shown, self.account)
        self.check()
        return adoption.adopt(
            part, want, digest=digest, virtual_size=found.virtual_size, origin=self.origin
        )


def _last_sector(path: Path, size: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, size - content.SECTOR))
        return file.read(content.SECTOR)


def _digest(path: Path) -> str:
    import hashlib

    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
