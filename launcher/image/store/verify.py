"""A base is read to its end and compared with its name, which is its digest.

A start does that where IMG_VERIFY=full asks for it, and `berth images --verify` does for all bases.
What is found is left beside the base, so that other starts refuse it without reading it.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from launcher.host.errors import StorageError
from launcher.image import progress
from launcher.image.base import Base
from launcher.image.store import bases, finding, naming, record
from launcher.image.store.finding import Finding
from launcher.image.store.record import Record
from launcher.settings.table import Settings

logger = logging.getLogger("startvm")

MIB = 1 << 20


def as_asked(settings: Settings, base: Base, tell: Callable[[str], None] = progress.silent) -> None:
    """Read `base` to its end before it is used, where IMG_VERIFY says so.

    :param tell: is told what is being done, and how far it is.
    :raise ImageRefused: when it was altered.
    :raise StorageError: when it cannot be read.
    """
    if settings.img_verify != "full":
        return
    doing = f"comparing {base.path.name} with its digest"
    logger.info("%s, since IMG_VERIFY=full", doing)
    tell(doing)
    try:
        why = problem(settings.shared_dir, base.digest, tell)
    except OSError as err:
        raise StorageError(f"the base {base.path} cannot be read: {err.strerror or err}") from err
    if why:
        raise bases.altered(base.path, why)


def problem(folder: Path, digest: str, tell: Callable[[str], None] = progress.silent) -> str:
    """Why a base must not be used, empty if nothing is wrong; and leave that beside it.

    Where nothing can be written, that is part of the answer.

    :raise OSError: when it cannot be read.
    """
    path = naming.base_path(folder, digest)
    known = record.read(naming.record_path(folder, digest))
    try:
        why = bases.difference(path.lstat(), digest, known)
        if why or known is None:
            return why  # who starts sees that, too
        found = _sha256(path, known.size, tell)
    except FileNotFoundError:
        return "it is gone"
    if found == digest:
        return _cleared(folder, digest, known)
    return _noted(folder, digest, Finding.now(f"its sha256 is {found}", known))


def _noted(folder: Path, digest: str, found: Finding) -> str:
    try:
        finding.write(folder, digest, found)
    except OSError as err:
        return (
            f"{found.why}. That cannot be written down beside it: {err.strerror or err}; "
            "starts find out by themselves only with IMG_VERIFY=full"
        )
    return found.why


def _cleared(folder: Path, digest: str, known: Record) -> str:
    try:
        finding.remove(folder, digest)
    except OSError as err:
        before = finding.read(folder, digest, known)
        if before:
            return (
                f"{before}. It is as it should be by now, but {finding.path(folder, digest).name} "
                f"cannot be removed, and starts refuse it: {err.strerror or err}"
            )
    return ""


def _sha256(path: Path, size: int, tell: Callable[[str], None]) -> str:
    import hashlib

    digest, block = hashlib.sha256(), memoryview(bytearray(MIB))
    # In blocks, so that whoever is told to stop does so at once.
    with path.open("rb", buffering=0) as file, progress.shown("read", size, tell=tell) as meter:
        while count := file.readinto(block):
            digest.update(block[:count])
            meter.advance(count)
    return digest.hexdigest()
