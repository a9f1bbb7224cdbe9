"""`python -m tests.storage.ensure`: fetch as the environment says, as a process one can kill.

SIGTERM ends it in an orderly way, as it ends startvm. `ENSURE_PATIENCE` shortens the time (seconds)
until a silent fetch counts as dead, `ENSURE_BOOT` pretends to be on another machine, and
`ENSURE_PART` is how many bytes one request asks for.
"""

import logging
import os
import signal
import sys
from types import FrameType

from launcher.host.container import Container
from launcher.host.errors import LauncherError
from launcher.image import fetch
from launcher.image.source import parts
from launcher.image.store.lease import TIMING
from launcher.settings.load import Surroundings, load


def stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, stop)
    parts.PART = int(os.environ.get("ENSURE_PART", parts.PART))
    logging.basicConfig(level="INFO", format="%(message)s")
    settings = load(os.environ, Surroundings(Container(hostname="pet-0")))
    patience = float(os.environ.get("ENSURE_PATIENCE", TIMING.patience))
    timing = TIMING._replace(beat=min(TIMING.beat, patience / 5), patience=patience)
    try:
        print(fetch.ensure(settings, timing=timing, boot=os.environ.get("ENSURE_BOOT")).path)
    except LauncherError as err:
        print(err, file=sys.stderr)
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
