"""`python -m tests.storage.ensure`: fetch as the environment says, as a process one can kill.

SIGTERM ends it in an orderly way, as it ends startvm.
"""

import os
import signal
import sys
from types import FrameType

from launcher.host.container import Container
from launcher.host.errors import LauncherError
from launcher.image import fetch
from launcher.image.source import parts
from launcher.settings.load import Surroundings, load


def stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, stop)
    parts.PART = int(os.environ.get("TEST_PART", parts.PART))
    settings = load(os.environ, Surroundings(Container(hostname="pet-0")))
    try:
        print(fetch.ensure(settings).path)
    except LauncherError as err:
        print(err, file=sys.stderr)
        return err.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
