"""``python -m tests.guests NAME``: print the path of a guest's image, building it if need be."""

import argparse
import sys
from subprocess import CalledProcessError

from tests.guests import debian, tiny
from tests.guests.commands import MissingPackagesError

GUESTS = {"tiny": tiny, "debian": debian}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guests", description=__doc__)
    parser.add_argument("name", choices=GUESTS)
    parser.add_argument(
        "--packages",
        action="store_true",
        help="print the Debian packages that building it needs instead",
    )
    arguments = parser.parse_args()
    guest = GUESTS[arguments.name]
    if arguments.packages:
        print(*guest.DEBIAN_PACKAGES)
        return 0
    try:
        print(guest.image())
    except (CalledProcessError, LookupError, MissingPackagesError, OSError) as error:
        print(f"{arguments.name} guest: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
