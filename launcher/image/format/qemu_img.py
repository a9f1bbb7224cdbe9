"""The two things qemu-img does for a new base, under limits. What parses a stranger's image does so
without rights of ours.

The format is always given, never probed.
"""

import json
import logging
from pathlib import Path

from launcher.host import access, process
from launcher.host.account import Account
from launcher.host.errors import CommandFailed, ImageRefused, StorageError
from launcher.image import space

logger = logging.getLogger("startvm")

# A check reads tables only: 1 TiB of them in well under a second of CPU. What takes minutes was
# made to take minutes.
CHECK_LIMITS = process.Limits(address_space=1 << 30, cpu_seconds=60)
CHECK_TIMEOUT = 600.0

# Converting has several threads, each with an arena and a stack of its own.
CONVERT_ADDRESS_SPACE = 4 << 30
# Bytes per second that any volume worth using exceeds.
SLOWEST = 2 << 20

LEAKS = 3


def check(path: Path, source: str, account: Account | None) -> None:
    """Check the qcow2 image at `path` as `qemu-img check` does, run as `account`.

    Clusters that are merely lost ("leaks") harm nobody in a file that is never written to.

    :raise ImageRefused: when it is damaged, cut short, or too much for the limits.
    """
    argv = ["qemu-img", "check", "-f", "qcow2", "--output=json", str(path)]
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
            hint="it may have been cut short or damaged where it comes from",
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
        str(raw),
        str(target),
    ]  # fmt: skip
    limits = process.Limits(CONVERT_ADDRESS_SPACE, cpu_seconds=600 + size // SLOWEST)
    try:
        process.run(argv, timeout=600 + size / SLOWEST, limits=limits)
    except CommandFailed as err:
        hint = space.HINT if "No space left" in err.stderr else ""
        raise StorageError(
            f"{source} could not be turned into qcow2: {_words(err.stderr, raw)}", hint=hint
        ) from err


def _words(stderr: str, path: Path) -> str:
    """What qemu-img said, without the name of a file that nobody has heard of."""
    text = " ".join(stderr.split()).removeprefix("qemu-img: ")
    return text.replace(f"'{path}'", "it").replace(str(path), "it") or "qemu-img said nothing"


def _errors(stdout: str) -> str:
    try:
        found = json.loads(stdout)
    except ValueError:
        return "errors"
    return f"{found.get('corruptions', 'some')} errors in its tables"
