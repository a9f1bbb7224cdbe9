"""qemu-img's work on a pet's disk, under limits: with what a guest, or a storage that fails, has
made of the disk it might go on for ever.

No limit is on the size of a file: one would cut a good disk short.
"""

import math
import signal
from collections.abc import Sequence

from launcher.host import process
from launcher.host.account import Account
from launcher.host.errors import CommandFailed, StorageError
from launcher.host.process import Limits, Result
from launcher.image.format.patience import ADDRESS_SPACE


def limits(seconds: float) -> Limits:
    """For a run that may take `seconds`, all of them of CPU."""
    return Limits(ADDRESS_SPACE, math.ceil(seconds), file_size=None)


def run(
    argv: Sequence[str], seconds: float, account: Account | None, *, success: Sequence[int] = (0,)
) -> Result:
    """Run qemu-img as `account`. What is ended in between leaves a good disk: see who calls.

    :raise CommandFailed: when it ends with another status, or was ended by a limit, in words.
    """
    given = limits(seconds)
    try:
        return process.run(argv, timeout=seconds, success=success, limits=given, account=account)
    except CommandFailed as err:
        if err.status >= 0:
            raise
        raise CommandFailed(argv, err.status, ended(given, err.stderr)) from err
    except StorageError as err:
        raise CommandFailed(argv, -signal.SIGKILL, late(argv, seconds)) from err


def late(argv: Sequence[str], seconds: float) -> str:
    """What to say of a run that has taken longer than `seconds`."""
    return f"qemu-img {argv[1]} took more than {seconds:.0f} s"


def ended(given: Limits, said: str) -> str:
    """What to say of a run that a signal has ended."""
    memory = given.address_space >> 30
    took = (
        f"qemu-img was ended, as what takes more than {given.cpu_seconds} s of CPU or {memory} GiB"
    )
    return f"{took}: {said}" if said else took
