"""`startvm`: the entrypoint of the container.

It is kept free of a command-line library: its arguments are QEMU's, and what it imports delays
every start.
"""

import gc
import logging
import os
import signal
import sys
from types import FrameType

from launcher.host import log, process
from launcher.host.errors import LauncherError, SettingsError

logger = logging.getLogger("startvm")

SHELLS = ("bash", "sh")
USAGE = """\
startvm [QEMU OPTION ...]   start the VM that the environment describes
startvm bash                a shell in its place

The settings are environment variables: `berth settings` lists them with the values in force, and
`berth plan` shows all that would be done, QEMU's command line included.
"""


class Stopped(BaseException):
    """SIGTERM or SIGINT came while the VM was still being prepared."""


def main() -> None:
    # Nothing of what a start imports and plans is garbage, and looking for some delays it by a
    # tenth. It is looked for again once the VM runs.
    gc.disable()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Do what `arguments` say; returns the exit code."""
    if arguments and arguments[0] in SHELLS:
        process.replace(arguments)
    if arguments and arguments[0] in ("-h", "-help", "--help"):
        print(USAGE, end="")
        return os.EX_OK
    log.configure(os.environ.get("LOG_LEVEL", ""), os.environ.get("LOG_FORMAT", ""))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        return _start(arguments)
    except LauncherError as err:
        logger.error("%s", err)
        return err.exit_code
    except Stopped:
        logger.info("told to stop before the VM was started")
        return os.EX_OK
    except Exception:
        logger.exception("a fault of Berth's own")
        return os.EX_SOFTWARE


def _start(arguments: list[str]) -> int:
    from launcher.cli.environment import settings
    from launcher.life.start import start

    if arguments and not arguments[0].startswith("-"):
        word = f"startvm's argument {arguments[0]!r}"
        raise SettingsError([f"{word} is not accepted; accepted: QEMU's options, or bash"])
    return start(settings(), tuple(arguments))


def _stop(number: int, _frame: FrameType | None) -> None:
    # A second signal must not cut short the taking down that the first one began.
    signal.signal(number, signal.SIG_IGN)
    raise Stopped
