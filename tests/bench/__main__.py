"""`python -m tests.bench NAME`."""

import sys

from tests.bench import start

BENCHMARKS = {"start": start.main}


def main(words: list[str]) -> int:
    if len(words) != 1 or words[0] not in BENCHMARKS:
        print(f"./dev bench NAME, where NAME is one of: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    BENCHMARKS[words[0]]()
    return 0


sys.exit(main(sys.argv[1:]))
