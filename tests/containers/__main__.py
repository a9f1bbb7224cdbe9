"""``python -m tests.containers``: print the path of the image, building it if need be."""

import sys

from tests.containers import image
from tests.guests.commands import CommandError, MissingPackagesError


def main() -> int:
    try:
        print(image.archive())
    except (CommandError, MissingPackagesError, OSError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
