"""`python -m tests.bench NAME`."""

import argparse

from tests.bench.disk import measure as disk
from tests.bench.fetch import measure as fetch
from tests.bench.start import measure as start

BENCHMARKS = {"start": start.main, "fetch": fetch.main, "disk": disk.main}

parser = argparse.ArgumentParser(prog="./dev bench")
parser.add_argument("name", choices=BENCHMARKS)
parser.add_argument(
    "--quick", action="store_true", help="once, and small: shows that it works, not how fast"
)
words = parser.parse_args()
BENCHMARKS[words.name](quick=words.quick)
