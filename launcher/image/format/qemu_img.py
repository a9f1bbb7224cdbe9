"""What qemu-img does for a new base, under limits. What parses a stranger's image does so without
rights of ours.

The format is always given, never probed.
"""

import json
import logging
from pathlib import Path

from launcher.host import access, process
from launcher.host.account import Account
from launcher.host.errors import CommandFailed, ImageRefused, StorageError
from launcher.image import space
from launcher.image.format import patience
from launcher.image.format.content import Kind
from launcher.image.format.refusal import DAMAGED_HINT

logger = logging.getLogger("startvm")

# A check reads tables only: 1 TiB of them in well under a second of CPU. What takes minutes was
# made to take minutes.
CHECK_LIMITS = process.Limits(address_space=1 << 30, cpu_seconds=60)
CHECK_TIMEOUT = 600.0

# Bytes of a disk per second of CPU, unpacked by any processor worth using.
SLOWEST_CPU = 32 << 20

LEAKS = 3

# Bytes of a disk from which on its tables would become too much to be looked through.
LARGE = 2 << 40
CLUSTER, LARGE_CLUSTER = 64 << 10, 2 << 20

MOST_WORDS = 1000
MIB = 1 << 20


def check(path: Path, source: str, account: Account | None, kind: Kind = Kind.QCOW2) -> None:
    """Check the image at `path`, of `kind`, as `qemu-img check` does, run as `account`.

    Clusters that are merely lost ("leaks") harm nobody in a file that is never written to.

    :raise ImageRefused: when it is damaged, cut short, or too much for the limits.
    """
    argv = ["qemu-img", "check", "-f", str(kind), "--output=json", str(path)]
    access.grant(path, account, access.READ)
    try:
        done = process.run(
            argv,
            timeout=CHECK_TIMEOUT,
            success=(0, 2, LEAKS),
            limits=CHECK_LIMITS,
            account=account,
        )
    except CommandFailed as err:
        if err.status < 0:
            why = f"checking it took more than {CHECK_LIMITS.cpu_seconds} s of CPU or 1 GiB"
        else:
            why = _words(err.stderr, path)
        raise ImageRefused(f"{source} cannot be used: {why}") from err
    if done.status == 2:
        raise ImageRefused(
            f"{source} is damaged: qemu-img check finds {_errors(done.stdout)}",
            hint=DAMAGED_HINT,
        )
    if done.status == LEAKS:
        logger.info("%s has lost clusters; they take space and do no harm", source)


def convert(raw: Path, target: Path, size: int, source: str) -> None:
    """Write the raw image at `raw`, of `size` bytes, to the file `target` as qcow2.

    As ourselves: nothing of a raw image is parsed, and a base that QEMU's user could write to while
    it is made would be open to every QEMU on the shared volume.

    :raise StorageError: when that fails; a raw image cannot be wrong.
    """
    argv = [
        "qemu-img",
        "convert",
        "-f", "raw",
        "-O", "qcow2",
        "-o", f"cluster_size={LARGE_CLUSTER if size > LARGE else CLUSTER}",
        str(raw),
        str(target),
    ]  # fmt: skip
    # Room for the tables and the clusters of a qcow2 image, besides its data.
    limits = process.Limits(
        patience.ADDRESS_SPACE,
        cpu_seconds=int(patience.data(size)),
        file_size=size + size // 64 + MIB,
    )
    try:
        process.run(argv, timeout=patience.data(size), limits=limits)
    except CommandFailed as err:
        hint = space.HINT if "No space left" in err.stderr else ""
        raise StorageError(
            f"{source} could not be turned into qcow2: {_words(err.stderr, raw)}", hint=hint
        ) from err


def unfold(
    image: Path, kind: Kind, raw: Path, size: int, source: str, account: Account | None
) -> None:
    """Write the disk in the image at `image`, of `kind`, to the file `raw`, which has its `size`
    in bytes already; run as `account`.

    :raise ImageRefused: when it is damaged, larger than `size`, or too much for the limits.
    :raise StorageError: when there is no space for it.
    """
    argv = [
        "qemu-img",
        "convert",
        # The target is there, and nothing is in it. Without the first, qemu-img would make it anew,
        # and of any size.
        "-n", "--target-is-zero",
        "-f", str(kind),
        "-O", "raw",
        str(image),
        str(raw),
    ]  # fmt: skip
    limits = process.Limits(
        patience.ADDRESS_SPACE,
        cpu_seconds=patience.LEAST_SECONDS + size // SLOWEST_CPU,
        file_size=size,
    )
    access.grant(image, account, access.READ)
    try:
        process.run(argv, timeout=patience.data(size), limits=limits, account=account)
    except CommandFailed as err:
        if "No space left" in err.stderr:
            raise StorageError(
                f"{source} could not be unpacked: its disk of {size} bytes does not fit",
                hint=space.HINT,
            ) from err
        if err.status < 0:
            why = f"reading it took more than {limits.cpu_seconds} s of CPU or 4 GiB of memory"
        else:
            why = _words(err.stderr, image, raw)
        raise ImageRefused(f"{source} cannot be read as {kind}: {why}") from err


def _words(stderr: str, *paths: Path) -> str:
    """What qemu-img said, without the names of files that nobody has heard of."""
    text = " ".join(stderr[:MOST_WORDS].split()).removeprefix("qemu-img: ")
    for path in paths:
        text = text.replace(f"'{path}'", "it").replace(str(path), "it")
    return text or "qemu-img said nothing"


def _errors(stdout: str) -> str:
    try:
        found = json.loads(stdout)
    except ValueError:
        return "errors"
    return f"{found.get('corruptions', 'some')} errors in its tables"
