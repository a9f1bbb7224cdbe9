"""`berth`: what an operator, or Kubernetes, asks inside the container."""

import sys


def main() -> None:
    # Kubernetes probes every few seconds, and loading a command-line library for it would cost
    # more than the rest. What is wrong with the words, that one tells.
    if sys.argv[1:2] == ["probe"]:
        from launcher.cli import probe

        status = probe.run(sys.argv[2:])
        if status is not None:
            sys.exit(status)
    from launcher.cli.commands import commands

    commands()
