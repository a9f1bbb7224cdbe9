"""`python -m tests.storage.pruning`: `berth images prune --now` again and again, until killed."""

import time

from launcher.cli.commands import commands


def main() -> None:
    while True:
        commands(["images", "prune", "--now"], standalone_mode=False)
        time.sleep(0.005)


if __name__ == "__main__":
    main()
